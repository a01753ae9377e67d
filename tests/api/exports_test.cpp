// What libresnet_engine.so exports is what the public headers declare, and nothing else.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#ifdef RESNET_LIBRARY
namespace {

std::vector<std::string> exported() {
  const std::string command = std::string(NM) + " -D --defined-only -C " + RESNET_LIBRARY;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 65536> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), got);
  std::vector<std::string> names;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    names.push_back(line.substr(line.find(' ') + 3));  // "address T name"
    at = end + 1;
  }
  return names;
}

const std::vector<std::string> classes{"resnet::Error", "resnet::Model", "resnet::Session", "resnet::Preprocess"};
const std::vector<std::string> functions{"resnet::to_string(resnet::ErrorCode)",
                                         "resnet::decode_image(",
                                         "resnet::load_image(",
                                         "resnet::resize_image(",
                                         "resnet::preprocess_image(",
                                         "resnet::preprocessed_size(",
                                         "resnet::preprocess_file(",
                                         "resnet::top_k(",
                                         "resnet::list_devices(",
                                         "resnet::run_self_tests(",
                                         "resnet::describe_plan_for(",
                                         "resnet::measure_implementations(",
                                         "resnet::merge_measured_times("};

bool is_public(std::string name) {
  for (const char* prefix : {"typeinfo for ", "typeinfo name for ", "vtable for "}) {
    if (name.starts_with(prefix)) name.erase(0, std::string(prefix).size());
  }
  if (name.starts_with("rne_"))
    return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  for (const auto& type : classes) {
    if (name == type) return true;
    if (name.starts_with(type + "::")) return !name.starts_with("resnet::Session::Impl");
  }
  for (const auto& function : functions) {
    if (name.starts_with(function)) return true;
  }
  return false;
}

TEST(Exports, HoldNothingInternal) {
  for (const auto& name : exported()) EXPECT_TRUE(is_public(name)) << name << " leaks out of the shared library";
}

TEST(Exports, HoldEveryPublicClassAndFunction) {
  const auto names = exported();
  const auto found = [&](const std::string& start) {
    for (const auto& name : names) {
      if (name.starts_with(start)) return true;
    }
    return false;
  };
  for (const auto& type : classes) EXPECT_TRUE(found(type + "::")) << type;
  for (const auto& function : functions) EXPECT_TRUE(found(function)) << function;
  EXPECT_TRUE(found("typeinfo for resnet::Error")) << "an Error thrown by the library could not be caught";
}

}  // namespace
#endif
