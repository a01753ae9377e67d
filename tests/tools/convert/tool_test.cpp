// resnet_convert as a user runs it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "convert/known_nets.hpp"
#include "convert/resnet_layers.hpp"
#include "convert/sandbox.hpp"
#include "model/model_file.hpp"
#include "resnet_engine/image.hpp"
#include "tools/convert/byte_files.hpp"
#include "tools/convert/convert_tool.hpp"

namespace resnet::convert {
namespace {

TEST_F(ConvertTool, WritesAModelThatTheEngineReads) {
  const Result run = convert(source + " -o " + output);
  ASSERT_EQ(run.code, 0) << run.err;
  const auto model = ModelFile::open(output);
  EXPECT_EQ(model->header().graph.input_dims(), (Dims{1, 224, 224, 3}));
  EXPECT_TRUE(model->header().labels.empty());
  EXPECT_TRUE(mentions(model->header().preprocess_json, "\"torchvision\""));
  EXPECT_EQ(model->header().provenance.at("source"), "small.pth");

  // conv1 lies as K, R, S, C in the file; every value is where the source has it.
  const StoredTensor& conv1 = model->tensor("conv1.weight");
  ASSERT_EQ(conv1.shape, (TensorShape{4, 7, 7, 3}));
  std::vector<float> krsc(4 * 7 * 7 * 3);
  model->read_f32(conv1, krsc);
  const auto oihw = small_tensors()[0].values;
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t rs = 0; rs < 49; ++rs) ASSERT_EQ(krsc[(k * 49 + rs) * 3 + c], oihw[(k * 3 + c) * 49 + rs]);
  std::vector<float> fc(10 * 32);
  model->read_f32(model->tensor("fc.weight"), fc);
  EXPECT_EQ(fc, small_tensors()[small_tensors().size() - 2].values);
}

TEST_F(ConvertTool, BoundsTheNumberOfTensors) {
  std::string json;
  for (int i = 0; i < 10'001; ++i) {
    json += (i == 0 ? "{\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  json += '}';
  const std::uint64_t size = json.size();
  const std::string file =
      write("many.safetensors", std::string(reinterpret_cast<const char*>(&size), sizeof size) + json);
  const Result run = convert(file + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, file + ": holds 10001 tensors, the limit is 10000")) << run.err.substr(0, 300);
}

TEST_F(ConvertTool, VerifiesTheModelItWrote) {
  const std::string golden = RESNET_SOURCE_DIR "/tests/golden/torch/";
  const auto with = [&](const std::string& expected) {
    return golden + "basic.pth -o " + output + " --verify " + golden + "x.npy " + expected;
  };
  const Result equal = convert(with(golden + "basic.y.npy"));
  EXPECT_EQ(equal.code, 0) << equal.err;
  EXPECT_TRUE(mentions(equal.out, "Equal: output has relative L2")) << equal.out;
  EXPECT_EQ(convert(with(golden + "basic.y.npy") + " --quiet").out, "");

  const Result different = convert(with(golden + "bottleneck.y.npy") + " --quiet");
  EXPECT_EQ(different.code, 1);
  EXPECT_TRUE(mentions(different.out, "DIFFERENT")) << different.out;
  EXPECT_TRUE(exists("small.rne"));  // to be looked at with resnet_verify --layers

  std::filesystem::remove(output);
  const Result unfit = convert(with(golden + "x.npy"));
  EXPECT_EQ(unfit.code, 3);
  EXPECT_TRUE(mentions(unfit.out, "wrote")) << unfit.out;  // the model is there, and what was read is said
  EXPECT_TRUE(mentions(unfit.err, "x.npy")) << unfit.err;
  EXPECT_EQ(std::count(unfit.err.begin(), unfit.err.end(), '\n'), 1) << unfit.err;
  EXPECT_TRUE(exists("small.rne"));

  std::filesystem::remove(output);
  const Result missing = convert(with(folder / "nothing.npy"));
  EXPECT_EQ(missing.code, 3);
  EXPECT_TRUE(mentions(missing.err, "nothing.npy")) << missing.err;
  EXPECT_FALSE(exists("small.rne"));
  EXPECT_EQ(convert(golden + "basic.pth -o " + output + " --verify " + golden + "x.npy").code, 2);
}

TEST_F(ConvertTool, NeverWritesOverAnInputOfVerify) {
  const std::string golden = RESNET_SOURCE_DIR "/tests/golden/torch/";
  const std::string x = folder / "x.npy";
  std::filesystem::copy_file(golden + "x.npy", x);
  const Result run = convert(golden + "basic.pth -o " + x + " --verify " + x + ' ' + golden + "basic.y.npy");
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_EQ(read_text(x), read_text(golden + "x.npy"));
}

TEST_F(ConvertTool, IgnoresTheCounterOfAveragedModels) {
  std::vector<TorchTensor> tensors = small_tensors();
  for (TorchTensor& tensor : tensors) tensor.name = "module." + tensor.name;
  tensors.push_back({"n_averaged", {}, {3}});
  const Result run = convert(write("swa.pth", torch_file(tensors)) + " -o " + output);
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(mentions(run.out, "module.")) << run.out;
}

TEST_F(ConvertTool, AKerasArchitectureNeedsKerasWeights) {
  for (const std::string& arch :
       {std::string("keras:resnet50"), std::string(RESNET_SOURCE_DIR "/tests/golden/keras/tfkeras.plain.json")}) {
    const Result run = convert(source + " -o " + output + " --arch " + arch);
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_TRUE(mentions(run.err, "is a Keras architecture, but the weights are no Keras file")) << run.err;
  }
}

TEST_F(ConvertTool, TwoTensorsOfOneNameAreAnError) {
  std::vector<TorchTensor> tensors = small_tensors();
  tensors.push_back(tensors.front());
  tensors.back().name = "resnet.embedder.embedder.convolution.weight";
  const Result run = convert(write("twice.pth", torch_file(tensors)) + " -o " + output);
  EXPECT_EQ(run.code, 3) << run.out;
}

TEST_F(ConvertTool, SaysWhatItRecognisedAndWhatIsOpen) {
  const Result run = convert(source + " -o " + output);
  EXPECT_TRUE(mentions(run.out, "basic blocks (no conv3) 1,1,1,1")) << run.out;
  EXPECT_TRUE(mentions(run.out, "conv1.weight"));
  EXPECT_TRUE(mentions(run.out, "more, --verbose lists them"));
  EXPECT_TRUE(mentions(run.out, "running statistics"));
  EXPECT_TRUE(mentions(run.out, "--preset"));
  EXPECT_TRUE(mentions(run.out, "--labels"));
  EXPECT_TRUE(mentions(convert(source + " --verbose -o " + output).out, "layer4.0.downsample.1.running_var"));
  const Result quiet = convert(source + " --quiet -o " + output);
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.out + quiet.err, "");
}

TEST_F(ConvertTool, TheSameSourceGivesTheSameBytes) {
  ASSERT_EQ(convert(source + " -o " + output).code, 0);
  ASSERT_EQ(convert(source + " -o " + (folder / "again.rne")).code, 0);
  EXPECT_TRUE(read_text(output) == read_text(folder / "again.rne"));
}

TEST_F(ConvertTool, SaysWhatASourceIsThatIsNoWeightFile) {
  ASSERT_EQ(convert(source + " -o " + output).code, 0);
  Result run = convert(output + " -o " + (folder / "again.rne"));
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "small.rne: is a model file (.rne) already")) << run.err;
  run = convert(write("tiny.json", "{}") + " -o " + (folder / "again.rne"));
  EXPECT_EQ(run.code, 2);
  EXPECT_TRUE(mentions(run.err, "tiny.json: is a recipe: the weights are missing; add --weights FILE")) << run.err;
  EXPECT_FALSE(exists("again.rne"));
}

TEST_F(ConvertTool, SaysWhatPeopleHaveInPlaceOfAWeightFile) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 100\n", "git lfs pull"},
      {"<!DOCTYPE html><html>", "is a web page"},
      {std::string("\x1c\0\0\0TFL3 and more", 17), "is a TensorFlow Lite model"},
      {"\x93NUMPY\1 and more", "is an array of NumPy's"}};
  for (const auto& [bytes, part] : mistakes) {
    const Result run = convert(write("weights.pth", bytes) + " -o " + output);
    EXPECT_EQ(run.code, 3);
    EXPECT_TRUE(mentions(run.err, part)) << run.err;
  }
}

TEST_F(ConvertTool, UsageErrorsAreExitCode2) {
  const std::string labels = write("labels.txt", "only one\n");
  for (const std::string& arguments :
       {std::string(), source, "-o " + output, source + " --nonsense -o " + output, source + " --preset x -o " + output,
        source + " --input-size 224 -o " + output, source + " --input-size 0x224 -o " + output,
        source + " --arch resnet19 -o " + output, source + " -o " + source,
        source + " --labels " + labels + " -o " + output, source + " --weights " + source + " -o " + output,
        "torchvision:vgg16 -o " + output, source + " --labels '' -o " + output, source + " --preset '' -o " + output,
        source + " --input-size '' -o " + output, source + " --map '' -o " + output, "'' -o " + output}) {
    const Result run = convert(arguments);
    EXPECT_EQ(run.code, 2) << arguments << "\n" << run.err;
    EXPECT_NE(run.err, "");
    EXPECT_EQ(run.out, "");
  }
  EXPECT_FALSE(exists("small.rne"));
}

TEST_F(ConvertTool, RejectedSourcesAreExitCode3AndNameTheFile) {
  const std::string evil =
      write("evil.pth",
            ZipBytes()
                .add("a/data.pkl", pickle::start() +
                                       pickle::reduce(pickle::global("os", "system"),
                                                      pickle::tuple(pickle::text("touch " + (folder / "pwned")))) +
                                       ".")
                .bytes());
  auto negative = small_tensors();
  auto infinite = small_tensors();
  for (TorchTensor& t : negative)
    if (t.name == "layer2.0.bn1.running_var") t.values[5] = -0.5f;
  for (TorchTensor& t : infinite)
    if (t.name == "layer3.0.conv2.weight") t.values[5] = std::numeric_limits<float>::infinity();
  const std::pair<std::string, const char*> cases[] = {
      {folder / "missing.pth", "missing.pth"},
      {folder.path(), "is a folder without"},
      {write("empty.pth", ""), "empty"},
      {write("text.pth", "hello"), "text.pth"},
      {evil, "os.system"},
      {write("negative.pth", torch_file(negative)), "layer2.0.bn1.running_var"},
      {write("infinite.pth", torch_file(infinite)), "layer3.0.conv2.weight"},
  };
  for (const auto& [path, part] : cases) {
    const Result run = convert(path + " -o " + output);
    EXPECT_EQ(run.code, 3) << path << run.err;
    EXPECT_TRUE(mentions(run.err, part)) << run.err;
    EXPECT_TRUE(mentions(run.err, path)) << run.err;
  }
  EXPECT_FALSE(exists("pwned"));
  EXPECT_FALSE(exists("small.rne"));
}

TEST_F(ConvertTool, AnUnwritableOutputIsExitCode4) {
  EXPECT_EQ(convert(source + " -o " + (folder / "no/such/folder.rne")).code, 4);
  EXPECT_EQ(convert(source + " -o " + folder.path()).code, 4);
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const Result fifo = convert(source + " -o " + (folder / "fifo"), "timeout 60");
  EXPECT_EQ(fifo.code, 4);
  EXPECT_TRUE(mentions(fifo.err, "nobody reads this pipe")) << fifo.err;
}

TEST_F(ConvertTool, AFailureLeavesTheOldOutputAndNoOtherFile) {
  write("small.rne", "old");
  const std::size_t before = folder.entries() + 2;  // out and err
  EXPECT_EQ(convert(write("bad.pth", "hello") + " -o " + output).code, 3);
  EXPECT_EQ(read_text(output), "old");
  EXPECT_EQ(folder.entries(), before + 1);
}

TEST_F(ConvertTool, EveryTruncationIsExitCode3) {
  const std::string bytes = torch_file({{"w", {2}, {1, 2}}});
  for (std::size_t length = 0; length < bytes.size(); length += 7) {
    const Result run = convert(write("cut.pth", bytes.substr(0, length)) + " -o " + output);
    ASSERT_EQ(run.code, 3) << length << run.err;
  }
  const std::string complete = read_text(source);
  for (std::size_t length = 1; length < complete.size(); length += complete.size() / 23) {
    const Result run = convert(write("cut.pth", complete.substr(0, length)) + " -o " + output);
    ASSERT_EQ(run.code, 3) << length << run.err;
  }
}

TEST_F(ConvertTool, HelpAndVersionGoToStandardOutput) {
  const Result help = convert("--help"), version = convert("--version");
  EXPECT_EQ(help.code, 0);
  EXPECT_TRUE(mentions(help.out, "Examples:"));
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(mentions(version.out, "resnet_convert 0."));
}

TEST_F(ConvertTool, ItsUsageErrorsAndHelpLookLikeTheOtherTools) {
  for (const std::string& arguments : {std::string(), source + " --nonsense -o " + output, source}) {
    const Result run = convert(arguments);
    EXPECT_TRUE(run.err.starts_with("resnet_convert: ")) << run.err;
    EXPECT_TRUE(run.err.ends_with("; see resnet_convert --help\n")) << run.err;
    EXPECT_EQ(run.err.find('\n'), run.err.size() - 1) << run.err;
  }
  const Result help = convert("--help");
  EXPECT_TRUE(mentions(help.out, "Usage: resnet_convert [OPTIONS]")) << help.out;
  EXPECT_FALSE(mentions(help.out, RESNET_BIN_DIR)) << help.out;
}

TEST_F(ConvertTool, LooksIntoTheCachesByName) {
  std::filesystem::create_directories(folder / "torch/hub/checkpoints");
  write("torch/hub/checkpoints/resnet18-f37072fd.pth",
        torch_file(small_tensors(find_torchvision_net("resnet18")->shape)));
  const std::string home = "TORCH_HOME=" + (folder / "torch") + " HF_HOME=" + (folder / "hf");
  const Result found = convert("torchvision:resnet18 -o " + output, home);
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_TRUE(mentions(found.out, "another hash")) << found.out;  // the name alone is not believed
  const Result absent = convert("torchvision:resnet50 -o " + output, home);
  EXPECT_EQ(absent.code, 3);
  EXPECT_TRUE(mentions(absent.err, "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"));
}

TEST_F(ConvertTool, ACachedFileKeepsTorchvisionsSizeAndPreset) {
  const std::string snapshot = folder / "hf/hub/models--timm--resnet18.tv_in1k/snapshots/a";
  std::filesystem::create_directories(snapshot);
  write_text(snapshot + "/model.safetensors", torch_file(small_tensors(find_torchvision_net("resnet18")->shape)));
  write_text(snapshot + "/config.json",
             R"({"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 176, 176]}})");
  const Result run =
      convert("torchvision:resnet18 -o " + output, "HF_HOME=" + (folder / "hf") + " TORCH_HOME=" + (folder / "torch"));
  ASSERT_EQ(run.code, 0) << run.err;
  const auto model = ModelFile::open(output);
  EXPECT_EQ(model->header().graph.input_dims(), (Dims{1, 224, 224, 3}));
  EXPECT_EQ(model->header().preprocess_json, Preprocess::preset("torchvision").to_json());
  EXPECT_EQ(model->header().labels.size(), 1000u);
}

TEST_F(ConvertTool, DoesNotWriteOverACachedSource) {
  std::filesystem::create_directories(folder / "torch/hub/checkpoints");
  const std::string cached = write("torch/hub/checkpoints/resnet18-f37072fd.pth",
                                   torch_file(small_tensors(find_torchvision_net("resnet18")->shape)));
  const auto size = std::filesystem::file_size(cached);
  const Result run = convert("torchvision:resnet18 -o " + cached, "TORCH_HOME=" + (folder / "torch"));
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_EQ(std::filesystem::file_size(cached), size);
}

TEST_F(ConvertTool, KeepsTheReportOutOfAModelOnStandardOutput) {
  ASSERT_EQ(convert(source + " -o " + output).code, 0);
  const Result piped = convert(source + " -o /dev/stdout");
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.out, read_text(output));
  EXPECT_TRUE(mentions(piped.err, "recognised")) << piped.err;
}

TEST_F(ConvertTool, SaysSoWhereAMapDropsEverything) {
  const Result run = convert(source + " --map " + write("drop.txt", "* -> -\n") + " -o " + output);
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "--map drops every key")) << run.err;
}

TEST_F(ConvertTool, ACachedFileOfAnotherNetworkIsRefused) {
  std::filesystem::create_directories(folder / "torch/hub/checkpoints");
  std::filesystem::copy_file(source, folder / "torch/hub/checkpoints/resnet50-11ad3fa6.pth");
  const Result run = convert("torchvision:resnet50 -o " + output, "TORCH_HOME=" + (folder / "torch"));
  EXPECT_EQ(run.code, 3);
  EXPECT_TRUE(mentions(run.err, "resnet50-11ad3fa6.pth: is no resnet50 but resnet (basic blocks")) << run.err;
  EXPECT_FALSE(exists("small.rne"));
}

TEST_F(ConvertTool, WorksUnderLowerLimitsOfTheShell) {
  EXPECT_EQ(convert(source + " -o " + output, "ulimit -t 15;").code, 0);
  EXPECT_EQ(convert(source + " -o " + output, "ulimit -S -t 5;").code, 0);
  if (sandbox_is_weakened_by_sanitizer()) return;  // it needs terabytes of addresses
  const Result small = convert(source + " -o " + output, "ulimit -v 150000;");
  EXPECT_EQ(small.code, 0) << small.err;
  const Result tiny = convert(source + " -o " + output, "ulimit -d 2000;");
  EXPECT_FALSE(mentions(tiny.err, "damaged")) << tiny.err;
}

TEST_F(ConvertTool, AnInterruptedRunLeavesNoFile) {
  for (int delay_ms : {0, 5, 20, 60}) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::execl(RESNET_BIN_DIR "/resnet_convert", "resnet_convert", source.c_str(), "-q", "-o", output.c_str(), nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ::kill(pid, SIGTERM);
    int status = 0;
    ::waitpid(pid, &status, 0);
    const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    EXPECT_TRUE(done || (WIFEXITED(status) && WEXITSTATUS(status) == 143) || WIFSIGNALED(status)) << status;
    if (exists("small.rne")) ModelFile::open(output);  // complete when it is there
    std::filesystem::remove(output);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      EXPECT_FALSE(entry.path().filename().string().starts_with(".resnet_tool.")) << entry.path();
    }
  }
}

}  // namespace
}  // namespace resnet::convert
