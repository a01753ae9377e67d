# One target per layer. A layer's headers are visible as "<layer>/<file>.hpp" and only to targets that depend on it: the
# include path is a folder of links in the build tree that holds this layer alone, so an upward or sideways include does
# not compile. tests/unit/include_test reads the sources and says the same with a better message.

set(RESNET_LAYER_INCLUDES "${CMAKE_BINARY_DIR}/layers")

# resnet_layer(NAME name [PREFIX folder/in/includes] [SOURCES ...] [DEPENDS layer ...] [LIBRARIES target ...])
function(resnet_layer)
  cmake_parse_arguments(arg "" "NAME;PREFIX" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  if(NOT arg_PREFIX)
    set(arg_PREFIX "${arg_NAME}")
  endif()
  set(includes "${RESNET_LAYER_INCLUDES}/${arg_NAME}")
  cmake_path(GET arg_PREFIX PARENT_PATH parent)
  file(MAKE_DIRECTORY "${includes}/${parent}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${includes}/${arg_PREFIX}" SYMBOLIC)
  set(target "resnet_${arg_NAME}")
  add_library(${target} OBJECT ${arg_SOURCES})
  target_include_directories(${target} PUBLIC "${includes}")
  list(TRANSFORM arg_DEPENDS PREPEND resnet_)
  target_link_libraries(${target} PUBLIC resnet_public ${arg_DEPENDS} PRIVATE resnet_flags ${arg_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY resnet_layers "${target}")
endfunction()

# resnet_test(NAME name SOURCES ... [LAYERS layer ...] [LIBRARIES target ...] [LABELS label ...] [TIMEOUT seconds] [EMULATED])
# A GoogleTest executable that sees the inside of the named layers. EMULATED: its CUDA devices are the emulator's.
function(resnet_test)
  cmake_parse_arguments(arg "EMULATED" "NAME;TIMEOUT" "SOURCES;LAYERS;LIBRARIES;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  list(TRANSFORM arg_LAYERS PREPEND resnet_)
  set(objects resnet_all_objects)
  if(arg_EMULATED)
    set(objects resnet_all_objects_emulated)
  endif()
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LAYERS} ${objects} resnet_flags ${arg_LIBRARIES}
                        GTest::gtest GTest::gtest_main Threads::Threads)
  # Tests are compiled more often than they run for long. Under a sanitizer what they call is optimised, they are not.
  target_compile_options(${arg_NAME} PRIVATE $<$<CONFIG:Release>:-O1> $<$<BOOL:${RESNET_SANITIZED}>:-O0>)
  target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_compile_definitions(${arg_NAME} PRIVATE RESNET_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             RESNET_BIN_DIR="${CMAKE_BINARY_DIR}/bin"
                             RESNET_SANITIZED=${RESNET_SANITIZED})
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
  # What the library keeps between processes stays in the build tree.
  set_tests_properties(${arg_NAME} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
                       ENVIRONMENT "RESNET_ENGINE_CACHE=${CMAKE_BINARY_DIR}/test-cache")
endfunction()
