// resnet_verify as its users meet it.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "common/json.hpp"
#include "common/npy.hpp"
#include "support/scratch_folder.hpp"
#include "support/subprocess.hpp"
#include "support/tiny_model.hpp"
#include "support/write_bytes.hpp"

namespace resnet::test {
namespace {

using tools::NpyWriter;

class Verify : public testing::Test {
 protected:
  Verify() {
    write_tiny_model(model);
    // Two pictures of one colour each, and what the model says of them.
    save("x.npy", {3, 8, 8}, pictures(64, 1));
    save("x_nhwc.npy", {8, 8, 3}, pictures(1, 64));
    save("y.npy", {4}, {2, 4, 8, 2, 0, 6, 1, 2});
  }

  static std::vector<float> pictures(std::size_t plane, std::size_t repeats) {
    std::vector<float> values;
    for (const std::vector<float>& colour :
         {std::vector<float>{0.25f, 0.5f, 1}, std::vector<float>{0, 0.75f, 0.125f}}) {
      for (std::size_t r = 0; r < repeats; ++r) {
        for (const float channel : colour) values.insert(values.end(), plane, channel);
      }
    }
    return values;
  }
  void save(const std::string& name, const std::vector<std::int64_t>& row, const std::vector<float>& values) const {
    NpyWriter writer(folder / name);
    writer.append(values, row);
    writer.commit();
  }
  Outcome verify(std::vector<std::string> arguments) const {
    for (std::string& argument : arguments) {
      if (argument.ends_with(".npy")) argument = folder / argument;
    }
    arguments.insert(arguments.begin(), {tool("resnet_verify"), model});
    return run(arguments);
  }

  ScratchFolder folder;
  std::string model = folder / "tiny.rne";
};

TEST_F(Verify, AgreesWithWhatTheSourceSaid) {
  for (const char* x : {"x.npy", "x_nhwc.npy"}) {
    const Outcome outcome = verify({"--input", x, "--expected", "y.npy"});
    EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("2 images of 8x8x3"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("in 2 of 2. Equal: output"), std::string::npos) << outcome.out;
  }
}

TEST_F(Verify, ExitsWithOneWhereResultsDiffer) {
  save("off.npy", {4}, {2, 4, 8, 2, 0, 6, 1, 2.01f});
  const Outcome off = verify({"--input", "x.npy", "--expected", "off.npy"});
  EXPECT_EQ(off.code, 1);
  EXPECT_NE(off.out.find("first past the tolerance"), std::string::npos) << off.out;
  EXPECT_NE(off.out.find("DIFFERENT: output has relative L2"), std::string::npos) << off.out;
  EXPECT_EQ(verify({"--input", "x.npy", "--expected", "off.npy", "--tolerance", "0.01"}).code, 0);
  save("nan.npy", {4}, {2, 4, 8, 2, 0, 6, 1, std::nanf("")});
  const Outcome nan = verify({"--input", "x.npy", "--expected", "nan.npy", "--tolerance", "1e30", "--json"});
  EXPECT_EQ(nan.code, 1);
  const Json json = parse_json(nan.out, "stdout");
  EXPECT_EQ(json.at("output").at("expected_not_finite").as_int(), 1);
  EXPECT_EQ(json.at("output").at("not_finite").as_int(), 0);
  EXPECT_TRUE(json.at("output").at("relative_l2").is_null());
  EXPECT_EQ(json.at("first_past").as_string(), "output");
  EXPECT_FALSE(json.at("equal").as_bool());
}

TEST_F(Verify, ComparesDevicesLayerByLayer) {
  const Outcome outcome = verify({"--against", "reference", "--device", "cpu", "--layers", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "stdout");
  std::string names;
  for (const Json& layer : json.at("layers").as_array()) names += layer.at("name").as_string() + ' ';
  EXPECT_EQ(names, "relu pool fc ");
  EXPECT_EQ(json.at("images").as_int(), 1);
  EXPECT_TRUE(json.at("first_past").is_null());
  EXPECT_NE(verify({"--against", "reference", "--layers", "--input", "x.npy"}).out.find("\npool "), std::string::npos);
}

TEST_F(Verify, AsksForTheLayoutThatTheShapeLeavesOpen) {
  save("small.npy", {3, 3, 3}, std::vector<float>(27, 0.5f));
  const Outcome open = verify({"--input", "small.npy", "--against", "reference"});
  EXPECT_EQ(open.code, 2);
  EXPECT_NE(open.err.find("--layout"), std::string::npos) << open.err;
  EXPECT_EQ(verify({"--input", "small.npy", "--against", "reference", "--layout", "nhwc"}).code, 0);
  EXPECT_EQ(verify({"--input", "x.npy", "--against", "reference", "--layout", "nhwc"}).code, 3);
}

TEST_F(Verify, RefusesWhatDoesNotFit) {
  const auto fails = [&](std::vector<std::string> arguments, int code, const std::string& mention) {
    const Outcome outcome = verify(std::move(arguments));
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(mention), std::string::npos) << outcome.err;
  };
  save("ten.npy", {10}, std::vector<float>(20));
  fails({"--input", "x.npy", "--expected", "ten.npy"}, 3, "has the shape 2 x 10, not 2 x 4");
  fails({"--input", "y.npy", "--expected", "y.npy"}, 3, "not N x 3 x H x W or N x H x W x 3");
  fails({"--input", "missing.npy", "--expected", "y.npy"}, 3, "missing.npy");
  fails({"--input", "x.npy"}, 2, "nothing to compare with");
  fails({"--expected", "y.npy"}, 2, "--input");
  fails({"--input", "x.npy", "--expected", "y.npy", "--layers"}, 2, "--against");
  fails({"--input", "x.npy", "--expected", "y.npy", "--against", "cpu"}, 2, "excludes");
  const std::string header = tools::npy_header_bytes(1, std::vector<std::int64_t>{3, 0, 8});
  write_bytes(folder / "empty.npy", std::as_bytes(std::span(header)));
  fails({"--input", "empty.npy", "--against", "reference"}, 3, "empty.npy");
  fails({"--against", "gpu"}, 2, "--against gpu");
  fails({"--against", "auto"}, 2, "--against auto");
  fails({"--against", "cuda:700"}, 5, "--against cuda:700");
  fails({"--against", "cpu", "--tolerance", "-1"}, 2, "--tolerance");
}

}  // namespace
}  // namespace resnet::test
