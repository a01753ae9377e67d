# cmake -DOUT=embedded.cpp -DRECIPES=a.json|b.json -DLABELS=imagenet1k.txt -P embed.cmake
# Writes the files as raw string literals.
function(literal result path)
  file(READ "${path}" text)
  if(text MATCHES "\\)embedded\"")
    message(FATAL_ERROR "${path} holds the delimiter of its literal")
  endif()
  set(${result} "R\"embedded(${text})embedded\"" PARENT_SCOPE)
endfunction()

set(entries "")
set(count 0)
string(REPLACE "|" ";" recipes "${RECIPES}")
foreach(path IN LISTS recipes)
  cmake_path(GET path STEM name)
  literal(text "${path}")
  string(APPEND entries "    {\"${name}\",\n${text}},\n")
  math(EXPR count "${count} + 1")
endforeach()
literal(labels "${LABELS}")
file(WRITE "${OUT}" "// Written by tools/convert/embed.cmake from models/.
#include <array>

#include \"convert/embedded.hpp\"

namespace resnet::convert {

std::span<const EmbeddedText> embedded_recipes() {
  static constexpr std::array<EmbeddedText, ${count}> recipes = {{
${entries}  }};
  return recipes;
}

std::string_view embedded_imagenet_labels() {
  return
${labels};
}

}  // namespace resnet::convert
")
