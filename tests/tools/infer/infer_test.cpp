// resnet_infer as its users meet it: arguments in; stdout, stderr, files and the exit code out.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <thread>

#include "common/json.hpp"
#include "common/npy.hpp"
#include "support/scratch_folder.hpp"
#include "support/subprocess.hpp"
#include "support/tiny_model.hpp"

namespace resnet::test {
namespace {

using tools::NpyReader;

std::vector<float> all_values(const std::string& path) {
  const NpyReader reader(path);
  std::vector<float> values(static_cast<std::size_t>(reader.header().elements()));
  reader.read_rows(0, reader.rows(), values);
  return values;
}

class Infer : public testing::Test {
 protected:
  Infer() {
    write_tiny_model(model);
    write_text(folder / "red.bmp", bmp(8, 8, {255, 0, 0}));
    write_text(folder / "green.bmp", bmp(8, 8, {0, 255, 0}));
    write_text(folder / "blue.bmp", bmp(8, 8, {0, 0, 255}));
    write_text(folder / "corrupt.bmp", bmp(8, 8, {0, 255, 0}).substr(0, 100));
  }

  std::vector<std::string> command(const std::vector<std::string>& arguments) const {
    // One thread: two tools at once on a busy machine would mostly wait for each other.
    std::vector<std::string> all{tool("resnet_infer"), "-m", model, "--threads", "1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  Outcome infer(const std::vector<std::string>& arguments) const {
    Outcome outcome = run(command(arguments));
    // A build without oneDNN says first that it is slow.
    if (outcome.err.starts_with("resnet-engine: this build has no oneDNN"))
      outcome.err.erase(0, outcome.err.find('\n') + 1);
    return outcome;
  }

  /// A tensor file of `n` images of one value.
  void write_tensor(const std::string& path, std::int64_t n, std::int64_t c, std::int64_t side, float value) const {
    tools::NpyWriter writer(path);
    const std::vector<std::int64_t> shape{c, side, side};
    writer.append(std::vector<float>(static_cast<std::size_t>(n * c * side * side), value), shape);
    writer.commit();
  }

  ScratchFolder folder;
  std::string model = folder / "tiny.rne";
  std::string red = folder / "red.bmp", green = folder / "green.bmp", blue = folder / "blue.bmp";
  std::string corrupt = folder / "corrupt.bmp";
};

TEST_F(Infer, NamesTheBestLabels) {
  const auto outcome = infer({red, "--top", "2"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  // logits 8 0 0 2
  EXPECT_EQ(outcome.out, red + "\n   99.69%  red\n    0.25%  dark\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Infer, GivesScoreAndLogitAsJson) {
  const auto outcome = infer({red, blue, "--format", "json", "--device", "reference"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto results = parse_json(outcome.out, "stdout").as_array();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("input").as_string(), red);
  EXPECT_EQ(results[0].at("device").as_string(), "reference");
  EXPECT_EQ(results[0].at("precision").as_string(), "fp32");
  const Json& best = results[1].at("top").as_array().at(0);
  EXPECT_EQ(best.at("index").as_int(), 2);
  EXPECT_EQ(best.at("label").as_string(), "blue, the \"sky\"");
  EXPECT_NEAR(best.at("logit").as_double(), 8, 1e-5);
  EXPECT_NEAR(best.at("score").as_double(), std::exp(8) / (std::exp(8) + std::exp(2) + 2), 1e-6);
}

TEST_F(Infer, DoesNotApplySoftmaxTwice) {
  write_tiny_model(model, {.softmax = true});
  const auto outcome = infer({red, "--format", "jsonl"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json best = parse_json(outcome.out.substr(0, outcome.out.size() - 1), "stdout").at("top").as_array().at(0);
  const double score = std::exp(8) / (std::exp(8) + std::exp(2) + 2);
  EXPECT_NEAR(best.at("score").as_double(), score, 1e-6);
  EXPECT_NEAR(best.at("logit").as_double(), std::log(score), 1e-6);
}

TEST_F(Infer, PrintsAnObjectPerLine) {
  const auto outcome = infer({red, green, "--format", "jsonl"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::size_t end = outcome.out.find('\n');
  EXPECT_EQ(parse_json(outcome.out.substr(0, end), "line 1").at("input").as_string(), red);
  EXPECT_EQ(parse_json(outcome.out.substr(end + 1, outcome.out.size() - end - 2), "line 2").at("input").as_string(),
            green);
}

TEST_F(Infer, PrintsCsvWithQuotedFields) {
  const auto outcome = infer({blue, "--format", "csv", "--top", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.substr(0, outcome.out.rfind(',')),
            "input,rank,index,label,score\n" + blue + ",1,2,\"blue, the \"\"sky\"\"\"");
}

TEST_F(Infer, ReportsACorruptPictureAndClassifiesTheOthers) {
  for (const char* batch : {"1", "2", "8"}) {
    const auto outcome = infer({red, corrupt, blue, "--top", "1", "--format", "csv", "--batch", batch});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.err.find("resnet_infer: " + corrupt + ": "), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.out.find(red + ",1,0,"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find(blue + ",1,2,"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find(corrupt), std::string::npos);
  }
}

TEST_F(Infer, ReportsAMissingPictureAndExitsWithOne) {
  const auto outcome = infer({folder / "none.jpg", "--format", "json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "[]\n");
  EXPECT_NE(outcome.err.find(folder / "none.jpg"), std::string::npos) << outcome.err;
}

TEST_F(Infer, KeepsTheOrderOfItsInputsForEveryBatchSize) {
  std::vector<std::string> arguments;
  for (int i = 0; i < 21; ++i) arguments.push_back(i % 3 == 0 ? red : i % 3 == 1 ? green : blue);
  std::string expected;
  for (const auto& path : arguments) expected += path + "\n";
  for (const char* batch : {"1", "4", "64"}) {
    std::vector<std::string> all{tool("resnet_infer"), "-m", model, "--top", "1", "--batch", batch};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto outcome = run(all);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    std::string names;
    for (std::size_t at = 0; at < outcome.out.size();) {
      const std::size_t end = outcome.out.find('\n', at);
      if (outcome.out[at] == '/') names += outcome.out.substr(at, end - at + 1);
      at = end + 1;
    }
    EXPECT_EQ(names, expected);
  }
}

TEST_F(Infer, TakesDirectoriesAndLists) {
  const ScratchFolder pictures;
  write_text(pictures / "b.bmp", bmp(8, 8, {0, 255, 0}));
  write_text(pictures / "a.bmp", bmp(8, 8, {255, 0, 0}));
  write_text(folder / "list.txt", blue + "\n");
  const auto outcome = infer({pictures.path(), "@" + (folder / "list.txt"), "--top", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_LT(outcome.out.find(pictures / "a.bmp"), outcome.out.find(pictures / "b.bmp"));
  EXPECT_LT(outcome.out.find(pictures / "b.bmp"), outcome.out.find(blue));
}

TEST_F(Infer, ReportsAnEmptyListAndPicturesThatItCannotDecode) {
  write_text(folder / "list.txt", "\n");
  std::filesystem::create_directory(folder / "d");
  write_text(folder / "d/a.jxl", "\xFF\x0A");
  write_text(folder / "d/b.bmp", bmp(8, 8, {0, 255, 0}));
  const auto outcome = infer({"@" + (folder / "list.txt"), folder / "d", "--top", "1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("list.txt: the list names no file\n"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(folder / "d/a.jxl"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, (folder / "d/b.bmp") + "\n   99.69%  green\n");
}

TEST_F(Infer, RunsPicturesOfDifferentSizesInTheirOwnShapes) {
  write_tiny_model(model, {.crop = false});
  const std::string wide = folder / "wide.bmp";
  write_text(wide, bmp(4, 20, {0, 255, 0}));
  const auto outcome = infer({red, wide, blue, "--top", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            red + "\n   99.69%  red\n" + wide + "\n   99.69%  green\n" + blue + "\n   99.69%  blue, the \"sky\"\n");
}

TEST_F(Infer, SavesTheOutputUntouched) {
  const auto outcome = infer({red, green, "--save-output", folder / "out.npy"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(NpyReader(folder / "out.npy").header().shape, (std::vector<std::int64_t>{2, 4}));
  const std::vector<float> expected{8, 0, 0, 2, 0, 8, 0, 2};
  const auto values = all_values(folder / "out.npy");
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-5) << i;
}

TEST_F(Infer, GivesTheSameBitsForTheTensorThatItSaved) {
  write_text(folder / "odd.bmp", bmp(9, 13, {200, 100, 50}));
  const std::string pictures = folder / "odd.bmp";
  ASSERT_EQ(infer({pictures, red, "--save-input", folder / "in.npy", "--save-output", folder / "a.npy"}).code, 0);
  EXPECT_EQ(NpyReader(folder / "in.npy").header().shape, (std::vector<std::int64_t>{2, 3, 8, 8}));
  const auto again = infer({folder / "in.npy", "--save-output", folder / "b.npy", "--top", "1"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(all_values(folder / "a.npy"), all_values(folder / "b.npy"));
  EXPECT_NE(again.out.find("in.npy[1]\n   99.69%  red\n"), std::string::npos) << again.out;
}

TEST_F(Infer, SavesALayerInChannelsFirstOrder) {
  const auto outcome =
      infer({green, "--save", "conv=" + (folder / "conv.npy"), "--save", "pool=" + (folder / "pool.npy")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(NpyReader(folder / "conv.npy").header().shape, (std::vector<std::int64_t>{1, 3, 8, 8}));
  const auto values = all_values(folder / "conv.npy");
  for (std::size_t i = 0; i < 192; ++i) ASSERT_EQ(values[i], i >= 64 && i < 128 ? 1.0f : 0.0f) << i;
  EXPECT_EQ(NpyReader(folder / "pool.npy").header().shape, (std::vector<std::int64_t>{1, 3, 1, 1}));
}

TEST_F(Infer, NamesTheNearestLayerForAnUnknownOne) {
  const auto outcome = infer({green, "--save", "conw=" + (folder / "x.npy")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "resnet_infer: --save: the model has no layer \"conw\"; the nearest name is \"conv\"\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "x.npy"));
}

TEST_F(Infer, ReportsInputsWhoseSizeOneArrayCannotHoldAndKeepsTheOthers) {
  write_tiny_model(model, {.crop = false});
  const std::string wide = folder / "wide.bmp";
  write_text(wide, bmp(4, 20, {0, 255, 0}));
  for (const auto& [option, name] : {std::pair{"--save-input", ""}, {"--save", "conv="}}) {
    const auto outcome = infer({red, wide, blue, option, name + (folder / "x.npy"), "--save-output", folder / "out.npy",
                                "--format", "json", "--top", "1"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_NE(outcome.err.find("resnet_infer: " + wide + ": its size is not"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(folder / "x.npy"), std::string::npos) << outcome.err;
    const auto results = parse_json(outcome.out, "stdout").as_array();
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[1].at("input").as_string(), blue);
    EXPECT_EQ(NpyReader(folder / "x.npy").header().shape, (std::vector<std::int64_t>{2, 3, 8, 8}));
    EXPECT_EQ(NpyReader(folder / "out.npy").rows(), 2);
  }
}

TEST_F(Infer, SavesWhatHasOneShapeForInputsOfDifferentSizes) {
  write_tiny_model(model, {.crop = false});
  write_text(folder / "wide.bmp", bmp(4, 20, {0, 255, 0}));
  const auto outcome = infer({red, folder / "wide.bmp", "--save", "pool=" + (folder / "x.npy")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(NpyReader(folder / "x.npy").header().shape, (std::vector<std::int64_t>{2, 3, 1, 1}));
}

TEST_F(Infer, ClosesTheJsonArrayWhenAnErrorEndsTheRun) {
  const auto outcome = infer({red, "--format", "json", "--save-output", "/dev/full"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_NE(outcome.err.find("/dev/full"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "[]\n");
}

TEST_F(Infer, ReportsATensorThatDoesNotSuitTheNetwork) {
  write_tensor(folder / "grey.npy", 1, 1, 8, 0.5f);
  const auto outcome = infer({folder / "grey.npy", red, "--top", "1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("grey.npy"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find(red), std::string::npos) << outcome.out;
}

TEST_F(Infer, ReportsATensorThatIsNotFiniteByItsFirstBadValue) {
  for (const auto& [value, text] : {std::pair{std::nanf(""), "nan"}, {HUGE_VALF, "inf"}, {-HUGE_VALF, "-inf"}}) {
    std::vector<float> values(2 * 192, 0.5f);
    values[192 + 64 + 16 + 3] = values[192 + 100] = value;
    tools::NpyWriter writer(folder / "x.npy");
    writer.append(values, std::vector<std::int64_t>{3, 8, 8});
    writer.commit();
    const auto outcome = infer({folder / "x.npy", red, "--top", "1", "--save-output", folder / "out.npy"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.err, "resnet_infer: " + (folder / "x.npy") + "[1]: value [1, 2, 3] (channel, row, column) is " +
                               text + "; the network takes finite values only\n");
    EXPECT_EQ(outcome.out.find("x.npy[1]"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("x.npy[0]"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find(red), std::string::npos) << outcome.out;
    EXPECT_EQ(NpyReader(folder / "out.npy").rows(), 2);
  }
}

TEST_F(Infer, ReportsAnOutputThatIsNotFinite) {
  write_tensor(folder / "huge.npy", 1, 3, 8, 3e38f);
  const auto outcome = infer({folder / "huge.npy", red, "--top", "1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("not finite"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find(red), std::string::npos);
}

TEST_F(Infer, NeedsAPresetWhereTheModelHasNone) {
  write_tiny_model(model, {.preprocess = false});
  const auto without = infer({red});
  EXPECT_EQ(without.code, 2);
  EXPECT_NE(without.err.find("--preset"), std::string::npos) << without.err;
  const auto with = infer({red, "--preset", "raw01", "--top", "1"});
  EXPECT_EQ(with.code, 0) << with.err;
  EXPECT_EQ(with.out, red + "\n   99.69%  red\n");
}

TEST_F(Infer, RefusesAPresetOfOtherColours) {
  const auto outcome = infer({red, "--preset", "gray-small"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("channels"), std::string::npos) << outcome.err;
}

TEST_F(Infer, ListsThePresetsForAnUnknownOne) {
  const auto outcome = infer({red, "--preset", "imagenet"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("torchvision-v2"), std::string::npos) << outcome.err;
}

TEST_F(Infer, NamesClassesByNumberWithoutLabels) {
  write_tiny_model(model, {.labels = false});
  EXPECT_EQ(infer({red, "--top", "1"}).out, red + "\n   99.69%  class 0\n");
}

TEST_F(Infer, ExitsWithThreeForAMissingOrBrokenModel) {
  const auto missing = run({tool("resnet_infer"), "-m", folder / "none.rne", red});
  EXPECT_EQ(missing.code, 3);
  EXPECT_NE(missing.err.find(folder / "none.rne"), std::string::npos) << missing.err;
  EXPECT_EQ(missing.out, "");
  write_text(folder / "broken.rne", read_text(model).substr(0, 200));
  EXPECT_EQ(run({tool("resnet_infer"), "-m", folder / "broken.rne", red}).code, 3);
}

TEST_F(Infer, ExitsWithThreeForADamagedWeight) {
  std::string bytes = read_text(model);
  bytes.back() ^= 1;
  write_text(model, bytes);
  const auto outcome = infer({red});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.err.find("fc.bias"), std::string::npos) << outcome.err;
}

TEST_F(Infer, ExitsWithFiveWithoutTheDevice) {
  const auto outcome = infer({red, "--device", "cuda:63"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("cuda"), std::string::npos) << outcome.err;
}

TEST_F(Infer, SaysOfEveryDeviceWhyItCannotDoThePrecision) {
  const auto outcome = infer({red, "--precision", "fp8"});
  EXPECT_EQ(outcome.code, 5);
  EXPECT_NE(outcome.err.find("; reference: "), std::string::npos) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with("not in fp8\n")) << outcome.err;
}

TEST_F(Infer, HasNoSelfTestsOfALibrarysKernels) {
  const auto outcome = run({tool("resnet_infer"), "--device", "cpu", "--self-test"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("nothing to test on cpu"), std::string::npos) << outcome.out;
  EXPECT_EQ(run({tool("resnet_infer"), "--self-test", "--device", "cuda:63"}).code, 5);
  EXPECT_EQ(run({tool("resnet_infer"), "--self-test", "--device", "gpu"}).code, 2);
  EXPECT_EQ(run({tool("resnet_infer"), "--self-test", red}).code, 2);
}

TEST_F(Infer, ForbidsOnlyWhatThereIs) {
  const auto outcome = infer({red, "--forbid-impl", "no such"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--forbid-impl: "), std::string::npos) << outcome.err;
}

TEST_F(Infer, ExitsWithTwoForAWrongCommandLine) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{red, "--no-such-option"},
                                                                     {red, "--top", "0"},
                                                                     {red, "--top", "many"},
                                                                     {red, "--format", "xml"},
                                                                     {red, "--device", "gpu"},
                                                                     {red, "--precision", "float"},
                                                                     {red, "--batch", "0"},
                                                                     {red, "--threads", "-1"},
                                                                     {red, "--save", "conv"},
                                                                     {red, "--save", "=x.npy"},
                                                                     {red, "--save-output", "x", "--save-input", "x"},
                                                                     {red, "--save-output", "x", "--save-input", "./x"},
                                                                     {red, "--save-output", "x", "--save", "conv=./x"},
                                                                     {red, "--save-output", ""},
                                                                     {red, "--save-input="},
                                                                     {}}) {
    const auto outcome = infer(arguments);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_NE(outcome.err.find("--help"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(run({tool("resnet_infer"), red}).code, 2);
}

TEST_F(Infer, NeverWritesOverWhatItReads) {
  const std::string list = folder / "list.txt", link = folder / "link.npy";
  write_text(list, green + "\n");
  std::filesystem::create_directory(folder / "d");
  write_text(folder / "d/a.bmp", read_text(blue));
  std::filesystem::create_symlink(red, link);
  const auto dotted = [&](const std::string& path) {
    return (folder / "d/../") + std::filesystem::path(path).filename().string();
  };
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{red, "--save-output", model},
                                             {red, "--save-input", dotted(model)},
                                             {red, "--save", "conv=" + red},
                                             {red, "--save-output", link},
                                             {"@" + list, "--save-output", dotted(list)},
                                             {"@" + list, "--save-output", dotted(green)},
                                             {folder / "d", "--save-output", folder / "d/a.bmp"}}) {
    const std::size_t before = folder.entries();
    const auto outcome = infer(arguments);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_NE(outcome.err.find(" is "), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(folder.entries(), before);
  }
  EXPECT_EQ(read_text(red), bmp(8, 8, {255, 0, 0}));
  EXPECT_EQ(read_text(folder / "d/a.bmp"), read_text(blue));
  EXPECT_EQ(infer({red, green}).code, 0) << "the model is whole";
}

TEST_F(Infer, ExitsWithFourWhereItCannotWrite) {
  const auto outcome = infer({red, "--save-output", folder / "none/out.npy"});
  EXPECT_EQ(outcome.code, 4);
  EXPECT_NE(outcome.err.find("No such file or directory"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "") << "found before the work began";
  EXPECT_EQ(run(command({red}), Stdout::to("/dev/full")).code, 4);
}

TEST_F(Infer, RefusesAPipeAsAnArrayBeforeTheWork) {
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto alone = infer({red, "--save-output", fifo});
  EXPECT_EQ(alone.code, 4);
  EXPECT_EQ(alone.err, "resnet_infer: cannot write " + fifo + ": nobody reads this pipe\n");
  EXPECT_EQ(alone.out, "");
  const auto piped = infer({red, "--save-output", "/dev/stdout"});
  EXPECT_EQ(piped.code, 4);
  EXPECT_EQ(piped.err, "resnet_infer: cannot write /dev/stdout: an array needs a regular file, no pipe\n");
  EXPECT_EQ(piped.out, "");
}

/// Rows whose results are more than a pipe holds.
constexpr std::int64_t many = 500;

TEST_F(Infer, StopsQuietlyWhenNobodyReadsOn) {
  write_tensor(folder / "many.npy", many, 3, 8, 0.5f);
  Process process(command({folder / "many.npy", "--format", "jsonl", "--batch", "1"}));
  EXPECT_NE(process.read_line().find("many.npy[0]"), std::string::npos);
  process.close_stdout();
  const auto outcome = process.wait();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Infer, CompletesItsArraysWhenNobodyReadsOn) {
  write_tensor(folder / "many.npy", many, 3, 8, 0.5f);
  Process process(
      command({folder / "many.npy", "--format", "jsonl", "--batch", "1", "--save-output", folder / "out.npy"}));
  process.read_line();
  process.close_stdout();
  EXPECT_EQ(process.wait().code, 0);
  EXPECT_EQ(NpyReader(folder / "out.npy").rows(), many);
}

TEST_F(Infer, DoesNotWriteResultsIntoAFileWhenStdoutIsClosed) {
  const auto outcome = run(command({red, "--save-output", folder / "out.npy"}), Stdout::closed());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(NpyReader(folder / "out.npy").header().shape, (std::vector<std::int64_t>{1, 4}));
}

TEST_F(Infer, LeavesNoHalfFileWhenItIsInterrupted) {
  for (const auto& [signal, code] : {std::pair{SIGHUP, 129}, {SIGINT, 130}, {SIGQUIT, 131}, {SIGTERM, 143}}) {
    // The list is a pipe that nobody writes to: the tool waits for it with its output file already claimed.
    const std::string list = folder / "list", out = folder / "out.npy";
    ASSERT_EQ(mkfifo(list.c_str(), 0600), 0);
    write_text(out, "old content");
    const std::size_t before = folder.entries();
    Process process(command({"@" + list, "--save-output", out}));
    for (int i = 0; i < 10000 && folder.entries() == before; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(folder.entries(), before + 1) << "the temporary file";
    process.send(signal);
    const auto outcome = process.wait();
    EXPECT_EQ(outcome.code, code);
    EXPECT_EQ(folder.entries(), before);
    EXPECT_EQ(read_text(out), "old content");
    std::filesystem::remove(list);
  }
}

TEST_F(Infer, ReportsAFileThatGrowsTooLargeAndLeavesNothing) {
  write_tensor(folder / "many.npy", 200, 3, 8, 0.5f);
  write_text(folder / "out.npy", "old content");
  const std::size_t before = folder.entries();
  std::string line = "ulimit -f 100; exec";  // 50 KiB or 100 KiB; the array has 150 KiB
  for (const auto& word : command({folder / "many.npy", "--save-input", folder / "out.npy"})) line += " " + word;
  const auto outcome = run({"/bin/sh", "-c", line});
  EXPECT_EQ(outcome.code, 4) << "signal " << outcome.signal;
  EXPECT_EQ(outcome.err, "resnet_infer: cannot write " + (folder / "out.npy") + ": File too large\n");
  EXPECT_EQ(folder.entries(), before);
  EXPECT_EQ(read_text(folder / "out.npy"), "old content");
}

TEST_F(Infer, ExplainsItself) {
  const auto help = run({tool("resnet_infer"), "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("Examples:"), std::string::npos);
  EXPECT_EQ(help.err, "");
  const auto version = run({tool("resnet_infer"), "--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.find("resnet_infer "), 0u);
  const auto devices = run({tool("resnet_infer"), "--list-devices"});
  EXPECT_EQ(devices.code, 0) << devices.err;
  EXPECT_NE(devices.out.find("\ncpu "), std::string::npos) << devices.out;
  EXPECT_NE(devices.out.find(" core"), std::string::npos) << devices.out;
  EXPECT_EQ(devices.out.find("cuda"), 0u) << devices.out;
}

}  // namespace
}  // namespace resnet::test
