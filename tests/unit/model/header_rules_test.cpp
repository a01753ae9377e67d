// One case per rule of docs/format.md: exact error code, a message that names the place, quickly and in little memory.
#include <gtest/gtest.h>

#include <cstring>
#include <ctime>

#include "golden/golden_model.hpp"
#include "unit/model/allocation_meter.hpp"
#include "unit/model/model_bytes.hpp"

namespace resnet::testing {
namespace {

struct Rule {
  std::string name;
  Bytes file;
  ErrorCode code;
  std::vector<std::string> message;  ///< what() holds each of these
};

void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }

Bytes good() { return GoldenModel(DType::f32).file(); }

/// The golden file with one text of its header replaced, past the writer's own checks. Inside the layer list and other
/// embedded documents quotes are escaped: \"name\".
Bytes changed(std::string_view from, std::string_view to) { return replaced(good(), from, to); }

Bytes with_length(std::uint64_t length) {
  Bytes file = good();
  std::memcpy(file.data(), &length, sizeof length);
  return file;
}

Bytes resized(std::ptrdiff_t by) {
  Bytes file = good();
  file.resize(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(file.size()) + by));
  return file;
}

/// The last tensor is gone from the table, the checksums and the data, but not from the layer that uses it.
Bytes without_fc_bias() {
  Bytes file = changed(R"(,"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[396,404]})", "");
  const std::string header = header_of(file);
  const std::size_t sum = header.find(R"(,\"fc.bias\":)");
  file = with_header(file, std::string(header).erase(sum, std::string_view(R"(,\"fc.bias\":\"01234567\")").size()));
  file.resize(file.size() - 8);
  return file;
}

Bytes header_only(std::string_view text) { return with_header(Bytes(8), text); }

std::string repeated(std::string_view text, std::size_t count, std::string_view separator = {}) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) result += separator;
    result += text;
  }
  return result;
}

std::vector<Rule> rules() {
  const std::string conv = R"("conv1.weight":{"dtype":"F32","shape":[3,3,3,3],"data_offsets":[0,324]})";
  const std::string gamma = R"("data_offsets":[324,336])";
  const std::string version = R"("resnet_engine.version":"1")";
  const std::string labels = R"("resnet_engine.labels":"[\"cat\",)";
  const std::string relu = R"({\"name\":\"relu\",\"op\":\"relu\",\"inputs\":[\"bn1\"]})";
  const auto tensor = [&](std::string_view entry) { return changed(conv, entry); };
  const auto label_count = [&](std::string_view text) {
    return changed(labels, R"("resnet_engine.labels":"[)" + std::string(text));
  };
  using E = ErrorCode;
  return {
      // the container
      {"EmptyFile", {}, E::truncated, {"0 bytes"}},
      {"SevenBytes", Bytes(7), E::truncated, {"7 bytes"}},
      {"HeaderOfLengthZero", with_length(0), E::bad_header, {"bytes 0 to 7", "0 bytes"}},
      {"HeaderOfLength2To64", with_length(~std::uint64_t{0}), E::limit_exceeded, {"18446744073709551615"}},
      {"HeaderJustAboveTheLimit", with_length((4u << 20) + 1), E::limit_exceeded, {"4194305", "4194304"}},
      {"ByteSwappedLength", with_length(std::uint64_t{0x0008} << 48), E::limit_exceeded, {"bytes 0 to 7"}},
      {"HeaderLongerThanTheFile", with_length(1'000'000), E::truncated, {"byte 1000008"}},
      {"HeaderThatEndsEarly", with_length(100), E::bad_header, {"byte 107", "closing"}},
      {"LeadingWhitespace", header_only(R"( {"__metadata__":{}})"), E::bad_header, {"byte 8"}},
      {"HeaderIsAnArray", header_only("[1]"), E::bad_header, {"byte 8"}},
      {"PaddingOtherThanSpaces", header_only("{}\n"), E::bad_header, {"byte 10"}},
      {"TextAfterTheObject", header_only("{}{}"), E::bad_header, {"header", "at byte 2"}},
      {"NotUtf8", header_only("{\"\xff\":1}"), E::bad_header, {"header", "byte 2"}},
      {"LoneSurrogate", header_only(R"({"\ud800":1})"), E::bad_header, {"header"}},
      {"DeepJson", header_only("{\"a\":" + std::string(1'000'000, '[') + "}"), E::limit_exceeded, {"deeper than 64"}},
      {"OneValueTooMany",
       header_only("{\"a\":[" + repeated("0", 199'998, ",") + "]}"),
       E::limit_exceeded,
       {"200000 JSON values"}},
      {"FourMegabytesOfKeys",
       header_only("{" + repeated("\"\":0", 800'000, ",") + "}"),
       E::bad_header,
       {"duplicate key"}},
      {"IntegerBeyond64Bits",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,324]})"),
       E::overflow,
       {"64 bits"}},
      {"TruncatedByOneByte", resized(-1), E::truncated, {"tensor 'fc.bias'", "ends at byte"}},
      {"TrailingBytes", resized(3), E::trailing_bytes, {"3 bytes follow the last tensor"}},
      // the tensor table
      {"DuplicateTensor", tensor(conv + "," + conv), E::bad_header, {"duplicate key", "conv1.weight"}},
      {"DuplicateKeyInATensor", changed(gamma, gamma + "," + gamma), E::bad_header, {"duplicate key", "data_offsets"}},
      {"UnknownKeyInATensor", changed(gamma, gamma + R"(,"color":1)"), E::bad_header, {"tensor 'bn1.weight'", "color"}},
      {"TensorThatIsNoObject", tensor(R"("conv1.weight":7)"), E::bad_header, {"tensor 'conv1.weight'", "an object"}},
      {"MissingShape",
       tensor(R"("conv1.weight":{"dtype":"F32","data_offsets":[0,324]})"),
       E::bad_header,
       {"tensor 'conv1.weight'", "shape"}},
      {"ControlCharacterInAName",
       changed(R"("conv1.weight":{)", R"("conv\u001b[2J":{)"),
       E::bad_header,
       {"tensor 'conv?[2J'", "control"}},
      {"EmptyTensorName", changed(R"("conv1.weight":{)", R"("":{)"), E::bad_header, {"the name is empty"}},
      {"LongTensorName",
       changed(R"("conv1.weight":{)", "\"" + std::string(1025, 'x') + "\":{"),
       E::bad_header,
       {"1024 bytes"}},
      {"UnsuitableElementType",
       tensor(R"("conv1.weight":{"dtype":"I64","shape":[3,3,3,1],"data_offsets":[0,324]})"),
       E::bad_dtype,
       {"tensor 'conv1.weight'", "'I64'"}},
      {"UnknownElementType",
       tensor(R"("conv1.weight":{"dtype":"F33","shape":[3,3,3,3],"data_offsets":[0,324]})"),
       E::bad_dtype,
       {"tensor 'conv1.weight'", "'F33'"}},
      {"ElementTypeOfAnotherSize",
       tensor(R"("conv1.weight":{"dtype":"F16","shape":[3,3,3,3],"data_offsets":[0,324]})"),
       E::bad_offsets,
       {"tensor 'conv1.weight'", "324 bytes", "need 162"}},
      {"Scalar",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[],"data_offsets":[0,324]})"),
       E::tensor_shape,
       {"tensor 'conv1.weight'", "empty"}},
      {"ZeroDimension",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[3,0],"data_offsets":[0,324]})"),
       E::tensor_shape,
       {"tensor 'conv1.weight'", "dimension 1 is 0"}},
      {"NegativeDimension",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[-81,-1],"data_offsets":[0,324]})"),
       E::tensor_shape,
       {"tensor 'conv1.weight'", "dimension 0 is -81"}},
      {"FractionalDimension",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[81.0],"data_offsets":[0,324]})"),
       E::bad_header,
       {"tensor 'conv1.weight'", "an integer"}},
      {"NineDimensions",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[81,1,1,1,1,1,1,1,1],"data_offsets":[0,324]})"),
       E::limit_exceeded,
       {"tensor 'conv1.weight'", "9 dimensions"}},
      {"ShapeProductOverflows",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,324]})"),
       E::overflow,
       {"tensor 'conv1.weight'"}},
      {"ShapeProductWrapsToTheRightSize",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[4611686018427387904,4,81],"data_offsets":[0,324]})"),
       E::overflow,
       {"tensor 'conv1.weight'"}},
      {"MoreThan2To40Values",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[1099511627777],"data_offsets":[0,4398046511108]})"),
       E::limit_exceeded,
       {"tensor 'conv1.weight'", "1099511627777"}},
      {"TensorOf2To40Values",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]})"),
       E::truncated,
       {"tensor 'conv1.weight'"}},
      {"OffsetsThatOverlap",
       changed(gamma, R"("data_offsets":[320,332])"),
       E::bad_offsets,
       {"tensor 'bn1.weight'", "inside tensor 'conv1.weight'"}},
      {"OffsetsThatLeaveAHole",
       changed(gamma, R"("data_offsets":[328,340])"),
       E::bad_offsets,
       {"tensor 'bn1.weight'", "hole"}},
      {"FirstTensorNotAtZero",
       changed(R"("data_offsets":[0,324])", R"("data_offsets":[4,328])"),
       E::bad_offsets,
       {"tensor 'conv1.weight'", "hole"}},
      {"OffsetsBackwards",
       changed(gamma, R"("data_offsets":[336,324])"),
       E::bad_offsets,
       {"tensor 'bn1.weight'", "[336, 324]"}},
      {"NegativeOffset",
       changed(R"("data_offsets":[0,324])", R"("data_offsets":[-324,0])"),
       E::bad_offsets,
       {"tensor 'conv1.weight'", "-324"}},
      {"OffsetsNear2To63",
       changed(gamma, R"("data_offsets":[9223372036854775795,9223372036854775807])"),
       E::bad_offsets,
       {"hole"}},
      {"OffsetWithAnExponent",
       changed(gamma, R"("data_offsets":[324,3.36e2])"),
       E::bad_header,
       {"tensor 'bn1.weight'", "an integer"}},
      {"OffsetWithALeadingZero",
       changed(gamma, R"("data_offsets":[0324,336])"),
       E::bad_header,
       {"malformed JSON at byte"}},
      {"ThreeOffsets",
       changed(gamma, R"("data_offsets":[324,336,348])"),
       E::bad_header,
       {"tensor 'bn1.weight'", "two integers"}},
      // the metadata
      {"NoMetadata",
       header_only(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"),
       E::bad_header,
       {"__metadata__"}},
      {"MetadataThatIsNoString",
       changed(version, R"("resnet_engine.version":1)"),
       E::bad_header,
       {"resnet_engine.version", "a string"}},
      {"NoVersion", changed(version, R"("other.version":"1")"), E::bad_header, {"'resnet_engine.version' is missing"}},
      {"FutureVersion",
       changed(version, R"("resnet_engine.version":"2")"),
       E::future_version,
       {"version 2", "up to 1", "newer"}},
      {"FarFutureVersion",
       changed(version, R"("resnet_engine.version":"99999999999999999999")"),
       E::future_version,
       {"9999"}},
      {"VersionZero",
       changed(version, R"("resnet_engine.version":"0")"),
       E::bad_header,
       {"resnet_engine.version", "'0'"}},
      {"VersionThatIsNoNumber", changed(version, R"("resnet_engine.version":"1.0")"), E::bad_header, {"'1.0'"}},
      {"UnknownKeyOfOurs",
       changed(version, version + R"(,"resnet_engine.colour":"1")"),
       E::bad_header,
       {"resnet_engine.colour"}},
      {"NoChecksums",
       changed(R"("resnet_engine.crc32c":)", R"("other.crc32c":)"),
       E::bad_header,
       {"'resnet_engine.crc32c' is missing"}},
      {"ChecksumMissing", changed(R"(\"fc.bias\":)", R"(\"fc.bios\":)"), E::bad_header, {"crc32c", "tensor 'fc.bias'"}},
      {"ChecksumOfNoTensor",
       changed(R"({\"conv1.weight\":)", R"({\"x\":\"00000000\",\"conv1.weight\":)"),
       E::bad_header,
       {"crc32c", "tensor 'x'"}},
      {"ChecksumInCapitals",
       changed(R"({\"conv1.weight\":\")", R"({\"x\":\"ABCDEF01\",\"conv1.weight\":\")"),
       E::bad_header,
       {"tensor 'x'", "hex"}},
      {"LabelsThatAreNoList",
       changed(labels, R"("resnet_engine.labels":"{\"a\":1}","x":"[)"),
       E::bad_header,
       {"resnet_engine.labels", "an array"}},
      {"OneLabelTooMany",
       label_count(R"(\"a\",\"b\",)"),
       E::bad_header,
       {"resnet_engine.labels", "3 labels for 2 outputs"}},
      {"DeepLabels", label_count(std::string(100, '[')), E::limit_exceeded, {"resnet_engine.labels", "deeper than 64"}},
      {"ManyLabels",
       label_count(repeated("0", 200'000, ",") + ","),
       E::limit_exceeded,
       {"resnet_engine.labels", "200000"}},
      {"ProvenanceWithANumber",
       changed(R"({\"source\":\"golden\")", R"({\"source\":5)"),
       E::bad_header,
       {"resnet_engine.provenance", "key 'source'"}},
      {"PreprocessThatIsNoObject",
       changed(R"("resnet_engine.preprocess":")", R"("resnet_engine.preprocess":"[]","x":")"),
       E::bad_header,
       {"resnet_engine.preprocess", "an object"}},
      {"ReservedRangesThatAreNoObject",
       changed(version, version + R"(,"resnet_engine.ranges":"1")"),
       E::bad_header,
       {"resnet_engine.ranges", "an object"}},
      // the layer list
      {"GraphThatIsNoJson",
       changed(R"("{\"output\":\"fc\")", R"("{\"output\":fc)"),
       E::bad_header,
       {"resnet_engine.graph", "at byte 11"}},
      {"NoOutput", changed(R"({\"output\":\"fc\",)", "{"), E::bad_header, {"resnet_engine.graph", "output"}},
      {"UnknownKeyInTheGraph",
       changed(R"({\"output\":)", R"({\"input\":\"x\",\"output\":)"),
       E::bad_header,
       {"resnet_engine.graph", "'input'"}},
      {"OutputThatIsNoLayer", changed(R"(\"output\":\"fc\")", R"(\"output\":\"fd\")"), E::bad_graph, {"'fd'"}},
      {"UnknownKeyInALayer",
       changed(R"(\"op\":\"relu\",)", R"(\"op\":\"relu\",\"kind\":1,)"),
       E::bad_header,
       {"layer 'relu'", "'kind'"}},
      {"LayerWithoutAName", changed(R"({\"name\":\"relu\",)", "{"), E::bad_header, {"layer number 3", "name"}},
      {"DuplicateKeyInALayer",
       changed(R"(\"op\":\"relu\",)", R"(\"op\":\"relu\",\"op\":\"relu\",)"),
       E::bad_header,
       {"resnet_engine.graph", "duplicate key"}},
      {"ControlCharacterInALayerName",
       changed(R"(\"name\":\"relu\")", R"(\"name\":\"re\\u0007lu\")"),
       E::bad_header,
       {"layer number 3", "control"}},
      {"AttributeOfNoType",
       changed(R"(\"eps\":0.0009765625)", R"(\"eps\":null)"),
       E::bad_attribute,
       {"layer 'bn1'", "'eps'"}},
      {"AttributeThatIsAListOfFractions",
       changed(R"(\"pads\":[1,1,1,1])", R"(\"pads\":[1,1,1,0.5])"),
       E::bad_attribute,
       {"layer 'conv1'", "'pads'"}},
      {"AttributeOfAnotherType",
       changed(R"(\"pads\":[1,1,1,1])", R"(\"pads\":1)"),
       E::bad_attribute,
       {"layer 'conv1'", "pads"}},
      {"UnknownAttribute",
       changed(R"(\"pads\":[1,1,1,1])", R"(\"pods\":[1,1,1,1])"),
       E::bad_attribute,
       {"layer 'conv1'", "pods"}},
      {"UnknownLayer",
       changed(R"(\"op\":\"relu\")", R"(\"op\":\"gelu\")"),
       E::unknown_layer,
       {"layer 'relu'", "'gelu'"}},
      {"InternalLayer", changed(R"(\"op\":\"relu\")", R"(\"op\":\"scale_shift\")"), E::unknown_layer, {"layer 'relu'"}},
      {"LayerThatFeedsItself",
       changed(R"(\"inputs\":[\"bn1\"])", R"(\"inputs\":[\"relu\"])"),
       E::bad_graph,
       {"layer 'relu'", "cycle"}},
      {"Cycle",
       changed(R"(\"inputs\":[\"input\"])", R"(\"inputs\":[\"relu\"])"),
       E::bad_graph,
       {"cycle", "conv1", "bn1", "relu"}},
      {"UndefinedInput",
       changed(R"(\"inputs\":[\"bn1\"])", R"(\"inputs\":[\"bn2\"])"),
       E::bad_graph,
       {"layer 'relu'", "'bn2'"}},
      {"TwoLayersOfOneName", changed(relu, relu + "," + relu), E::bad_graph, {"layer 'relu'"}},
      {"ReluWithTwoInputs",
       changed(R"(\"inputs\":[\"bn1\"])", R"(\"inputs\":[\"bn1\",\"bn1\"])"),
       E::bad_graph,
       {"layer 'relu'"}},
      {"TooManyLayers",
       changed(relu, relu + "," + repeated(R"({\"name\":\"a\",\"op\":\"b\"})", 10'000, ",")),
       E::limit_exceeded,
       {"resnet_engine.graph", "10006 layers"}},
      {"MissingTensor", without_fc_bias(), E::missing_tensor, {"layer 'fc'", "fc.bias"}},
      {"UnusedTensor", changed(R"({\"bias\":\"fc.bias\",)", "{"), E::unused_tensor, {"fc.bias"}},
      {"RequiredWeightNotGiven",
       changed(R"(,\"var\":\"bn1.running_var\")", R"(,\"beta2\":\"bn1.running_var\")"),
       E::bad_attribute,
       {"layer 'bn1'", "beta2"}},
      {"TensorOfTheWrongShape",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[1,3,3,9],"data_offsets":[0,324]})"),
       E::bad_geometry,
       {"layer 'conv1'"}},
      {"TensorOfTheWrongRank",
       tensor(R"("conv1.weight":{"dtype":"F32","shape":[81],"data_offsets":[0,324]})"),
       E::tensor_shape,
       {"layer 'conv1'"}},
      {"BatchNormOfOtherChannels",
       replaced(changed(R"(\"var\":\"bn1.running_var\")", R"(\"var\":\"fc.bias\")"), R"(\"bias\":\"fc.bias\")",
                R"(\"bias\":\"bn1.running_var\")"),
       E::tensor_shape,
       {"layer 'bn1'"}},
      {"InputOf2To40Pixels",
       changed(R"(\"height\":4)", R"(\"height\":1099511627776)"),
       E::limit_exceeded,
       {"layer 'input'", "1099511627776"}},
      {"StrideZero",
       changed(R"(\"stride\":[1,1])", R"(\"stride\":[0,1])"),
       E::bad_attribute,
       {"layer 'conv1'", "stride"}},
      {"InputSmallerThanTheKernel",
       changed(R"(\"pads\":[1,1,1,1])", R"(\"pads\":[0,0,0,0],\"dilation\":[9,9])"),
       E::bad_geometry,
       {"layer 'conv1'"}},
  };
}

class HeaderRules : public ::testing::TestWithParam<Rule> {};

TEST_P(HeaderRules, AreEachRefusedWithTheirOwnErrorQuicklyAndInLittleMemory) {
  const Rule& rule = GetParam();
  const AllocationMeter meter;
  const std::clock_t start = std::clock();
  const Error error = refusal(rule.file);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_EQ(to_string(error.code()), to_string(rule.code)) << error.what();
  const std::string text = error.what();
  EXPECT_TRUE(text.starts_with("bad.rne")) << text;
  for (const std::string& part : rule.message)
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nnot in: " << text;
  EXPECT_LT(text.size(), 1000u) << "the message repeats the input";
  // The limit is for what people run; sanitizers make the parser several times slower.
  if (!RESNET_SANITIZED) {
    EXPECT_LT(seconds, 0.1) << text;
  }
  EXPECT_LT(meter.peak(), rule.file.size() + (64u << 20)) << text;
}

INSTANTIATE_TEST_SUITE_P(Format, HeaderRules, ::testing::ValuesIn(rules()),
                         [](const auto& test) { return test.param.name; });

TEST(HeaderLimits, TheFullNumberOfJsonValuesIsAcceptedByTheParser) {
  // 2 (object, key) + 1 (array) + 199,997: the header goes on to be refused for what it lacks, not for its size.
  const Error error = refusal(header_only("{\"a\":[" + repeated("0", 199'997, ",") + "]}"));
  EXPECT_EQ(error.code(), ErrorCode::bad_header) << error.what();
  EXPECT_NE(std::string(error.what()).find("__metadata__"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace resnet::testing
