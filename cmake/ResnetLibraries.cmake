# Libraries are found, not demanded. Each optional one sets RESNET_HAVE_<NAME> and adds a row to the table that
# configuring prints.

set_property(GLOBAL PROPERTY resnet_found_rows "")
function(resnet_found name found what_is_off)
  if(found)
    set(row "  ${name}: found (${found})")
  else()
    set(row "  ${name}: missing, ${what_is_off}")
  endif()
  set_property(GLOBAL APPEND PROPERTY resnet_found_rows "${row}")
endfunction()

function(resnet_print_found)
  get_property(rows GLOBAL PROPERTY resnet_found_rows)
  message(STATUS "resnet-engine ${PROJECT_VERSION}, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
  foreach(row IN LISTS rows)
    message(STATUS "${row}")
  endforeach()
endfunction()

find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)

# The library itself before its CMake package: Debian's package wants OpenCL's headers, which we never use.
find_library(RESNET_DNNL_LIBRARY dnnl)
find_path(RESNET_DNNL_INCLUDE oneapi/dnnl/dnnl.h)
if(RESNET_DNNL_LIBRARY AND RESNET_DNNL_INCLUDE)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION "${RESNET_DNNL_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${RESNET_DNNL_INCLUDE}")
else()
  find_package(dnnl QUIET CONFIG)
endif()
option(RESNET_ONEDNN "CPU backend through oneDNN, on if found" ON)
if(RESNET_ONEDNN AND TARGET DNNL::dnnl)
  set(RESNET_HAVE_ONEDNN ON)
endif()
resnet_found("oneDNN" "${RESNET_HAVE_ONEDNN}" "CPU inference runs on the slow reference backend (Debian: libdnnl-dev)")

find_path(RESNET_TURBOJPEG_INCLUDE turbojpeg.h)
find_library(RESNET_TURBOJPEG_LIBRARY turbojpeg)
option(RESNET_TURBOJPEG "JPEG through libjpeg-turbo, on if found" ON)
if(RESNET_TURBOJPEG AND RESNET_TURBOJPEG_INCLUDE AND RESNET_TURBOJPEG_LIBRARY)
  set(RESNET_HAVE_TURBOJPEG ON)
endif()
resnet_found("libjpeg-turbo" "${RESNET_HAVE_TURBOJPEG}"
             "JPEG through stb_image: pixels differ from Pillow by a few levels (Debian: libturbojpeg0-dev)")

find_package(PNG QUIET)
option(RESNET_PNG "PNG through libpng, on if found" ON)
if(RESNET_PNG AND PNG_FOUND)
  set(RESNET_HAVE_PNG ON)
endif()
resnet_found("libpng" "${RESNET_HAVE_PNG}" "PNG through stb_image, which checks no CRC (Debian: libpng-dev)")

find_path(RESNET_STB_INCLUDE stb_image.h PATH_SUFFIXES stb REQUIRED)
find_path(RESNET_CLI11_INCLUDE CLI/CLI.hpp REQUIRED)

find_library(RESNET_LIBZIP_LIBRARY zip)
find_path(RESNET_LIBZIP_INCLUDE zip.h)
if(RESNET_LIBZIP_LIBRARY AND RESNET_LIBZIP_INCLUDE)
  set(RESNET_HAVE_LIBZIP ON)
endif()
resnet_found("libzip" "${RESNET_HAVE_LIBZIP}" "resnet_convert does not read PyTorch .pth files (Debian: libzip-dev)")

find_library(RESNET_BOOST_CONTEXT_LIBRARY boost_context)
find_path(RESNET_BOOST_CONTEXT_INCLUDE boost/context/detail/fcontext.hpp)
if(RESNET_BOOST_CONTEXT_LIBRARY AND RESNET_BOOST_CONTEXT_INCLUDE)
  set(RESNET_HAVE_BOOST_CONTEXT ON)
  add_library(Boost::context UNKNOWN IMPORTED)
  set_target_properties(Boost::context PROPERTIES IMPORTED_LOCATION "${RESNET_BOOST_CONTEXT_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${RESNET_BOOST_CONTEXT_INCLUDE}")
endif()
if(RESNET_TESTS)
  resnet_found("Boost.Context" "${RESNET_BOOST_CONTEXT_LIBRARY}"
               "the CUDA kernels are not tested on the emulator (Debian: libboost-context-dev)")
endif()

if(RESNET_CUDA)
  # PTX of these lacks what kernels choose on newer GPUs: tiles beyond their shared memory, types that sm_75 has not.
  foreach(architecture IN LISTS RESNET_CUDA_ARCHITECTURES)
    if(architecture MATCHES "^(75|86|87|89|120|121)(-virtual)?$")
      message(FATAL_ERROR "RESNET_CUDA_ARCHITECTURES: write ${CMAKE_MATCH_1}-real; newer GPUs need 80 or 90 beside it")
    endif()
  endforeach()
  find_package(CUDAToolkit 12.4 QUIET)
  find_package(Python3 QUIET COMPONENTS Interpreter)  # reads what ptxas reports
  if(CUDAToolkit_FOUND AND Python3_FOUND)
    set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}" CACHE FILEPATH "nvcc")
    set(CMAKE_CUDA_ARCHITECTURES OFF)  # each target names its own
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know that nvcc 12 has C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(RESNET_HAVE_CUDA ON)
    list(JOIN RESNET_CUDA_ARCHITECTURES ", " architectures)
    resnet_found("CUDA" "toolkit ${CUDAToolkit_VERSION}, kernels for ${architectures}" "")
  else()
    resnet_found("CUDA" "" "no CUDA kernels are built (they need the toolkit 12.4 or newer and Python 3)")
  endif()
else()
  resnet_found("CUDA" "" "switched off (-DRESNET_CUDA=ON or the preset cuda)")
endif()

# Headers only: cuDNN itself is opened at run time where it is installed.
option(RESNET_CUDNN "Convolutions through cuDNN, on if its headers and cudnn-frontend's are found" ON)
set(frontend_cache "${PROJECT_SOURCE_DIR}/.venv-cuda/cudnn-frontend/include")  # scripts/lib/cuda_toolkit.sh
set(cuda_headers /usr/local/cuda/include ${CUDAToolkit_INCLUDE_DIRS})
find_path(RESNET_CUDNN_INCLUDE cudnn.h HINTS ${cuda_headers})
find_path(RESNET_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h HINTS "${frontend_cache}")
find_path(RESNET_CUDA_INCLUDE cuda_runtime_api.h HINTS ${cuda_headers})
if(RESNET_CUDNN AND RESNET_CUDNN_INCLUDE AND RESNET_CUDNN_FRONTEND_INCLUDE AND RESNET_CUDA_INCLUDE)
  file(READ "${RESNET_CUDNN_FRONTEND_INCLUDE}/cudnn_frontend_version.h" frontend_version)
  string(REGEX REPLACE ".*FRONTEND_MAJOR_VERSION ([0-9]+).*FRONTEND_MINOR_VERSION ([0-9]+).*" "\\1.\\2" frontend_version
         "${frontend_version}")
  if(frontend_version VERSION_GREATER_EQUAL 1.32)
    set(RESNET_HAVE_CUDNN ON)
  endif()
endif()
if(RESNET_HAVE_CUDNN)
  resnet_found("cuDNN headers" "${RESNET_CUDNN_INCLUDE}, cudnn-frontend ${frontend_version}" "")
else()
  resnet_found("cuDNN headers" "" "no convolutions through cuDNN (they need cudnn.h and the headers of the wheel nvidia-cudnn-frontend 1.32)")
endif()

if(RESNET_TESTS)
  find_package(GTest REQUIRED)
endif()
