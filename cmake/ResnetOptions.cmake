# Options and everything that applies to every target of ours.

option(BUILD_SHARED_LIBS "Build libresnet_engine as a shared library" ON)
option(RESNET_TESTS "Build the tests" ON)
option(RESNET_CUDA "Build the CUDA kernels when the toolkit is found" OFF)
set(RESNET_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
    "GPU architectures, NN-real each; 80, 90 and 100 without -real also serve newer GPUs, which compile them at the first start")
option(RESNET_WERROR "Treat warnings as errors" ON)
set(RESNET_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
# Installed executables find the library beside them, wherever the tree is moved to.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")

find_program(RESNET_CCACHE ccache)
if(RESNET_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RESNET_CCACHE}")
endif()

add_library(resnet_flags INTERFACE)
target_compile_options(resnet_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Wnull-dereference -Wimplicit-fallthrough
  # The same sums on every compiler: an FMA is written where one is meant.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports impossible paths inside the standard library for these three.
  target_compile_options(resnet_flags INTERFACE -Wno-null-dereference -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(RESNET_WERROR)
  target_compile_options(resnet_flags INTERFACE -Werror)
endif()

set(RESNET_SANITIZED 0)
if(RESNET_SANITIZE)
  set(RESNET_SANITIZED 1)
  set(flags "-fsanitize=${RESNET_SANITIZE}" -fno-omit-frame-pointer)
  if(RESNET_SANITIZE MATCHES undefined)
    # The vptr check asks the kernel whether memory is readable; in the converter's child the kernel refuses to say.
    list(APPEND flags -fno-sanitize-recover=all -fno-sanitize=vptr)
  endif()
  target_compile_options(resnet_flags INTERFACE ${flags})
  target_link_options(resnet_flags INTERFACE ${flags})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(resnet_flags INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
    -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  target_link_options(resnet_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
