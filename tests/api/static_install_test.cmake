# install_test.cmake for the static library, which is built first into BUILD_DIR.
function(build)
  execute_process(COMMAND "${CMAKE_COMMAND}" ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${output}")
  endif()
endfunction()

build(-S "${SOURCE_DIR}" -B "${BUILD_DIR}" -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release
      -DBUILD_SHARED_LIBS=OFF -DRESNET_TESTS=OFF)
build(--build "${BUILD_DIR}")
include("${CMAKE_CURRENT_LIST_DIR}/install_test.cmake")
