# cmake -DOUT=embedded_times.cpp -DTABLES=sm_80.json|sm_90.json -DNAMESPACE=resnet -P embed_times.cmake
# Writes tables of measured times as a list of texts.
set(entries "")
set(count 0)
string(REPLACE "|" ";" tables "${TABLES}")
foreach(path IN LISTS tables)
  cmake_path(GET path STEM name)
  file(READ "${path}" text)
  if(text MATCHES "\\)embedded\"")
    message(FATAL_ERROR "${path} holds the delimiter of its literal")
  endif()
  # Compilers end a literal at 64 KiB; adjacent ones are one.
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 16000 piece)
    string(APPEND pieces "R\"embedded(${piece})embedded\"\n")
    math(EXPR at "${at} + 16000")
  endwhile()
  string(APPEND entries "    {\"${name}\",\n${pieces}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUT}" "// Written by cmake/embed_times.cmake.
#include <array>

#include \"plan/times_table.hpp\"

namespace ${NAMESPACE} {

std::span<const resnet::EmbeddedTimes> embedded_times() {
  static constexpr std::array<resnet::EmbeddedTimes, ${count}> tables = {{
${entries}  }};
  return tables;
}

}  // namespace ${NAMESPACE}
")
