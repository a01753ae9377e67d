# The library itself, and what `cmake --install` puts where: headers, library, CMake package, pkg-config file, models.
# The installed tree may be moved: nothing in it holds an absolute path.

add_library(resnet_engine)
add_library(resnet_engine::resnet_engine ALIAS resnet_engine)
get_property(resnet_layer_targets GLOBAL PROPERTY resnet_layers)
get_property(resnet_cuda_targets GLOBAL PROPERTY resnet_cuda_objects)
foreach(layer IN LISTS resnet_layer_targets resnet_cuda_targets)
  target_sources(resnet_engine PRIVATE "$<TARGET_OBJECTS:${layer}>")
endforeach()
set_target_properties(resnet_engine PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(resnet_engine PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/engine/include>"
                           "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_compile_features(resnet_engine PUBLIC cxx_std_20)
# A static library passes on what it needs, by link name: the installed tree knows none of our imported targets.
set(resnet_link_name_DNNL::dnnl dnnl)
set(resnet_link_name_PNG::PNG png)
set(resnet_link_name_CUDA::cudart_static cudart_static)
set(resnet_link_name_OpenMP::OpenMP_CXX "${OpenMP_CXX_FLAGS}")
set(resnet_link_names "")
get_property(resnet_external GLOBAL PROPERTY resnet_external_libraries)
foreach(library IN LISTS resnet_external)
  if(IS_ABSOLUTE "${library}")
    cmake_path(GET library STEM name)
    string(REGEX REPLACE "^lib" "" name "${name}")
  elseif(DEFINED "resnet_link_name_${library}")
    set(name "${resnet_link_name_${library}}")
  else()
    message(FATAL_ERROR "ResnetPackage: name what a static libresnet_engine links for ${library}")
  endif()
  list(APPEND resnet_link_names "${name}")
  target_link_libraries(resnet_engine PRIVATE "$<BUILD_INTERFACE:${library}>" "$<INSTALL_INTERFACE:${name}>")
endforeach()
target_link_libraries(resnet_engine PRIVATE Threads::Threads "$<BUILD_INTERFACE:resnet_flags>")

# Before 1.0 every minor version may change the ABI.
set_target_properties(resnet_engine PROPERTIES VERSION "${PROJECT_VERSION}" INSTALL_RPATH ""
                      SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
if(BUILD_SHARED_LIBS)
  # Hidden visibility covers our own symbols; the script covers the standard library's templates compiled into ours.
  set(script "${PROJECT_SOURCE_DIR}/engine/exports.map")
  target_link_options(resnet_engine PRIVATE "LINKER:--version-script=${script}")
  set_target_properties(resnet_engine PROPERTIES LINK_DEPENDS "${script}")
  if(NOT RESNET_SANITIZE)
    target_link_options(resnet_engine PRIVATE "LINKER:--no-undefined")
  endif()
endif()

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/resnet_engine")
install(TARGETS resnet_engine EXPORT resnet_engine_targets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/engine/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(EXPORT resnet_engine_targets NAMESPACE resnet_engine:: DESTINATION "${package_dir}")

# A shared library has what it needs in its own list of dependencies.
set(RESNET_DEPENDENCIES "")
set(RESNET_PC_PRIVATE "")
if(NOT BUILD_SHARED_LIBS)
  set(RESNET_DEPENDENCIES "find_dependency(Threads)")
  foreach(name IN LISTS resnet_link_names)
    if(NOT name MATCHES "^-")
      string(PREPEND name "-l")
    endif()
    string(APPEND RESNET_PC_PRIVATE "${name} ")
  endforeach()
  string(APPEND RESNET_PC_PRIVATE "-lstdc++ -lm -pthread")
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/resnet_engine-config.cmake.in"
                              "${CMAKE_BINARY_DIR}/package/resnet_engine-config.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/package/resnet_engine-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/package/resnet_engine-config.cmake"
              "${CMAKE_BINARY_DIR}/package/resnet_engine-config-version.cmake" DESTINATION "${package_dir}")

# The prefix as seen from the .pc file's own folder.
file(RELATIVE_PATH RESNET_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" RESNET_PC_PREFIX "${RESNET_PC_PREFIX}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/resnet_engine.pc.in" "${CMAKE_BINARY_DIR}/package/resnet_engine.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/package/resnet_engine.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

file(GLOB resnet_models CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/models/*.rne")
install(FILES ${resnet_models} DESTINATION "${CMAKE_INSTALL_DATADIR}/resnet_engine/models")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/resnet_engine")
