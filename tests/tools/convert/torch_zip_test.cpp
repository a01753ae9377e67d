#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tools/convert/byte_files.hpp"
#include "tools/convert/import_check.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;

SourceFile file_of(const std::string& bytes) { return SourceFile::from_bytes(to_bytes(bytes), "test.pth"); }

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const std::string one_tensor =
    pickle::start() +
    pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1})) + pickle::stop();

TEST(TorchZip, ReadsNamesShapesAndValues) {
  const SourceFile file = file_of(torch_file({{"a.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"scalar", {}, {7}}}));
  const Importer& importer = find_importer(file);
  EXPECT_EQ(importer.name, "PyTorch zip");
  const Imported named = importer.read(file);
  ASSERT_EQ(named.tensors.size(), 2u);
  EXPECT_EQ(named.tensors[0].name, "a.weight");
  EXPECT_EQ(named.tensors[0].shape, (TensorShape{2, 3}));
  EXPECT_TRUE(named.tensors[1].shape.empty());
  const auto bytes = named.storages->read(named.tensors[0].storage);
  float values[6];
  ASSERT_EQ(bytes.size(), sizeof values);
  std::memcpy(values, bytes.data(), sizeof values);
  EXPECT_EQ(values[5], 6);
}

TEST(TorchZip, OpensACheckpointThatKeepsATensorOfItsOwn) {
  const auto tensor = [](const char* storage) {
    return torch_tensor(torch_storage("FloatStorage", storage, 2), 0, {2}, {1});
  };
  const auto names = [&](const std::string& pairs) {
    const std::string pickle = pickle::start() + pickle::dict(pairs) + pickle::stop();
    const SourceFile file =
        file_of(ZipBytes().add("a/data.pkl", pickle).add("a/data/0", "12345678").add("a/data/1", "12345678").bytes());
    std::string all;
    for (const SourceTensor& found : find_importer(file).read(file).tensors) all += found.name + ' ';
    return all;
  };
  const std::string weights = pickle::text("state_dict") + pickle::dict(pickle::text("fc.weight") + tensor("0"));
  EXPECT_EQ(names(weights + pickle::text("best_acc1") + tensor("1")), "fc.weight ");
  // A state dict may have an entry of a wrapper's name, too: then its own weights count.
  EXPECT_EQ(names(weights + pickle::text("conv.weight") + tensor("1")), "conv.weight ");
}

TEST(TorchZip, RefusesAStorageOfAnotherSizeThanTheEntry) {
  for (const char* data : {"", "1234567", "123456789"}) {
    const std::string text = import_refusal(ZipBytes().add("a/data.pkl", one_tensor).add("a/data/0", data).bytes());
    EXPECT_TRUE(mentions(text, "a/data/0")) << text;
  }
  EXPECT_TRUE(mentions(import_refusal(ZipBytes().add("a/data.pkl", one_tensor).bytes()), "\"a/data/0\" is missing"));
}

TEST(TorchZip, RefusesTorchScriptAndSaysWhatToDo) {
  for (const char* entry : {"m/constants.pkl", "m/code/__torch__.py"}) {
    const std::string text = import_refusal(ZipBytes().add("m/data.pkl", one_tensor).add(entry, "x").bytes());
    EXPECT_TRUE(mentions(text, "TorchScript")) << text;
    EXPECT_TRUE(mentions(text, "torch.jit.load")) << text;
  }
}

TEST(TorchZip, SaysTorchScriptOfCompressedCodeToo) {
  ZipBytes::Options deflated;
  deflated.method = 8;
  for (const char* entry : {"m/constants.pkl", "m/code/__torch__.py"}) {
    const std::string text = import_refusal(
        ZipBytes().add("m/code.py", "x", deflated).add(entry, "x", deflated).add("m/data.pkl", one_tensor).bytes());
    EXPECT_TRUE(mentions(text, "TorchScript")) << text;
    EXPECT_TRUE(mentions(text, "torch.save(dict(m.state_dict())")) << text;
  }
}

TEST(TorchZip, RefusesOtherZipFilesByWhatTheyAre) {
  EXPECT_TRUE(mentions(
      import_refusal(ZipBytes().add("assets/a", "x").add("config.json", "{}").add("model.weights.h5", "x").bytes()),
      "Keras"));
  EXPECT_TRUE(mentions(import_refusal(ZipBytes().add("word/document.xml", "x").bytes()), "without data.pkl"));
  EXPECT_TRUE(mentions(import_refusal(ZipBytes().add("a/data.pkl", one_tensor).add("b/data.pkl", one_tensor).bytes()),
                       "two entries data.pkl"));
}

TEST(TorchZip, SaysWhatAPickleHoldsThatIsTooLong) {
  const std::string long_pickle(17u << 20, 'x');
  const SourceFile file = file_of(ZipBytes().add("a/data.pkl", long_pickle).bytes());
  const Error error = error_of([&] { torch_zip_importer.read(file); });
  EXPECT_EQ(error.code(), ErrorCode::limit_exceeded);
  EXPECT_TRUE(mentions(error.what(), "holds values, such as numpy arrays, where tensors should be")) << error.what();
  EXPECT_TRUE(mentions(error.what(), "torch.from_numpy")) << error.what();
}

TEST(TorchZip, RefusesBigEndianFiles) {
  EXPECT_TRUE(mentions(
      import_refusal(
          ZipBytes().add("a/data.pkl", one_tensor).add("a/byteorder", "big").add("a/data/0", "12345678").bytes()),
      "big-endian"));
}

TEST(TorchZip, EveryTruncationIsAnError) {
  const std::string bytes = torch_file({{"w", {2}, {1, 2}}, {"b", {1}, {3}}});
  for (std::size_t length = 0; length < bytes.size(); ++length) import_refusal(bytes.substr(0, length));
}

TEST(ImporterList, RecognisesHdf5) { EXPECT_TRUE(mentions(import_refusal("\x89HDF\r\n\x1a\n      "), "HDF5")); }

TEST(ImporterList, RefusesWhatIsNoWeightFile) {
  for (const char* bytes : {"", "x", "hello world, this is text", "\x80\x04\x95"}) import_refusal(bytes);
}

TEST(ImporterList, NamesAreUniqueAndEveryEntryIsComplete) {
  for (const Importer* importer : importer_list()) {
    EXPECT_FALSE(importer->name.empty());
    EXPECT_NE(importer->sniff, nullptr);
    EXPECT_NE(importer->read, nullptr);
    for (const Importer* other : importer_list()) EXPECT_TRUE(importer == other || importer->name != other->name);
  }
}

}  // namespace
}  // namespace resnet::convert
