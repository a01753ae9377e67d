#include "convert/importers/pickle.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "convert/importers/torch_objects.hpp"
#include "tools/convert/byte_files.hpp"

namespace resnet::convert {
namespace {

using namespace resnet::test;
using namespace std::string_literals;

/// Everything that reading a pickle leaves.
struct Read {
  PickleValues values{PickleLimits{}};
  TorchObjects objects{"test.pth"};
  PickleId root = 0;
  std::vector<std::byte> bytes;

  explicit Read(const std::string& pickle, const PickleLimits& limits = {}) : values(limits), bytes(to_bytes(pickle)) {
    root = read_pickle(bytes, values, objects, limits, "test.pth");
  }
  const PickleValue& top() const { return values[root]; }
};

std::string whole(const std::string& opcodes) { return pickle::start() + opcodes + pickle::stop(); }

/// The text of the error that a pickle gives.
std::string refusal(const std::string& pickle, const PickleLimits& limits = {},
                    ErrorCode code = ErrorCode::import_failed) {
  const Error error = error_of([&] { Read(pickle, limits); });
  EXPECT_EQ(error.code(), code) << error.what();
  return error.what();
}
bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Pickle, ReadsScalarsStringsAndContainers) {
  const Read read(whole(pickle::tuple(pickle::integer(-7) + "K\xff" + "M\x01\x02"s + "N" + "G\x3f\xf8\0\0\0\0\0\0"s +
                                      "\x88\x89" + "\x8a\x02\x00\xff"s +
                                      pickle::text("l\xc3\xa4"
                                                   "bel") +
                                      "](K\x01K\x02" + "e" + ")")));
  ASSERT_EQ(read.top().kind, PickleKind::tuple);
  const auto item = [&](std::size_t i) -> const PickleValue& { return read.values[read.top().items.at(i)]; };
  EXPECT_EQ(item(0).number, -7);
  EXPECT_EQ(item(1).number, 255);
  EXPECT_EQ(item(2).number, 0x201);
  EXPECT_EQ(item(3).kind, PickleKind::none);
  EXPECT_EQ(item(4).real, 1.5);
  EXPECT_EQ(item(5).number, 1);
  EXPECT_EQ(item(6).number, 0);
  EXPECT_EQ(item(7).number, -256);  // LONG1 is two's complement
  EXPECT_EQ(item(8).text,
            "l\xc3\xa4"
            "bel");
  EXPECT_EQ(item(9).items.size(), 2u);
  EXPECT_EQ(item(10).kind, PickleKind::tuple);
  EXPECT_TRUE(item(10).items.empty());
}

TEST(Pickle, AMemoGivesTheSameValueAgain) {
  const Read read(
      whole(pickle::tuple("]q\x05"
                          "K\x01"
                          "ah\x05")));
  ASSERT_EQ(read.top().items.size(), 2u);
  EXPECT_EQ(read.top().items[0], read.top().items[1]);
  EXPECT_EQ(read.values[read.top().items[0]].items.size(), 1u);
}

TEST(Pickle, TheLastValueOfAKeyCounts) {
  const Read read(whole(pickle::dict(pickle::text("a") + "K\x01" + pickle::text("a") + "K\x02")));
  EXPECT_EQ(read.values[*read.values.find(read.root, "a")].number, 2);
  EXPECT_EQ(read.values.find(read.root, "b"), nullptr);
}

TEST(Pickle, IgnoresTheMetadataThatAStateDictCarries) {
  const Read read(whole(pickle::reduce(pickle::global("collections", "OrderedDict"), ")") +
                        pickle::dict(pickle::text("_metadata") + "}") + "b"));
  EXPECT_EQ(read.top().kind, PickleKind::dict);
}

TEST(Pickle, RefusesEveryGlobalOutsideItsListByName) {
  const std::pair<const char*, const char*> refused[] = {
      {"os", "system"},
      {"posix", "system"},
      {"builtins", "eval"},
      {"__builtin__", "exec"},
      {"subprocess", "Popen"},
      {"builtins", "getattr"},
      {"torch", "load"},
      {"torch.hub", "load"},
      {"torch._utils", "_rebuild_qtensor"},
      {"__main__", "Net"},
      {"torchvision.models.resnet", "ResNet"},
      {"collections", "ordereddict"},
      {"collections.OrderedDict", "__class__"},
      {"torch.storage", "_load_from_bytes"},
      {"", ""},
      {"runpy", "_run_code"},
  };
  for (const auto& [module, name] : refused) {
    const std::string text =
        refusal(whole(pickle::reduce(pickle::global(module, name), pickle::tuple(pickle::text("id")))));
    EXPECT_TRUE(mentions(text, std::string(module) + "." + name)) << text;
    EXPECT_TRUE(mentions(text, "torch.save(model.state_dict()")) << text;
  }
}

TEST(Pickle, AGlobalIsRefusedEvenWhenItIsNeverCalled) {
  EXPECT_TRUE(mentions(refusal(whole(pickle::global("os", "system") + "0N")), "os.system"));
}

TEST(Pickle, ANameWithControlCharactersIsMadePrintable) {
  const std::string text = refusal(whole(pickle::global("a\x1b[2J", std::string(500, 'x')) + "0N"));
  EXPECT_FALSE(mentions(text, "\x1b"));
  EXPECT_LT(text.size(), 500u);
}

TEST(Pickle, RefusesOpcodesThatTorchSaveNeverWrites) {
  // INST, OBJ, STACK_GLOBAL, NEWOBJ_EX, EXT1, PERSID, NEXT_BUFFER, LONG4, DUP, FRAME, MEMOIZE, GET, STRING, INT
  for (const char op : {'i', 'o', '\x93', '\x92', '\x82', 'P', '\x97', '\x8b', '2', '\x95', '\x94', 'g', 'S', 'I'}) {
    EXPECT_TRUE(mentions(refusal(whole("N"s + op)), "opcode 0x")) << static_cast<int>(op);
  }
}

TEST(Pickle, RefusesOtherProtocols) {
  EXPECT_TRUE(mentions(refusal("\x80\x04N."), "protocol 4"));
  EXPECT_TRUE(mentions(refusal("\x80\x02N\x80\x02."), "PROTO in the middle"));
}

TEST(Pickle, ReportsStackUnderflowInEveryOpcodeThatPops) {
  for (const char* ops : {"0", "a",     "Na", "s", "NNs", "R", "NR", "\x85", "N\x86", "NN\x87", "b",  "Nb",
                          "Q", "q\x01", "e",  "u", "t",   "1", ".",  "(.",   "N(0",   "N(\x85", "N(a"}) {
    refusal(pickle::start() + ops + ".");
  }
}

TEST(Pickle, OpcodesDoNotReachBelowAMark) {
  refusal(whole("]N(a"));
  refusal(whole("}NN(s"));
}

TEST(Pickle, RefusesContainersOfTheWrongKind) {
  refusal(whole("}Na"));
  refusal(whole("]NNs"));
  refusal(whole("](Ne(Nu"));
  refusal(whole("}(Nu"));  // a key without a value
  refusal(whole("N}b"));
  refusal(whole("NNR"));
  refusal(whole(pickle::global("collections", "OrderedDict") + "NR"));
}

TEST(Pickle, RefusesWhatIsLeftOverAtTheEnd) {
  refusal(pickle::start() + "NN.");
  refusal(pickle::start() + "N.N");
  refusal(pickle::start() + "N(.");
}

TEST(Pickle, EveryTruncationIsAnError) {
  const std::string complete =
      whole(pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1})));
  Read read(complete);
  for (std::size_t length = 0; length < complete.size(); ++length) refusal(complete.substr(0, length));
}

TEST(Pickle, MissingMemoEntriesAreErrors) {
  refusal(whole("h\x01"));
  refusal(
      whole("Nq\x02"
            "0h\x01"));
}

TEST(Pickle, LimitsTheNumberOfOpcodes) {
  PickleLimits limits;
  limits.opcodes = 100;
  std::string ops = "N";
  for (int i = 0; i < 100; ++i) ops += "N0";
  EXPECT_TRUE(mentions(refusal(whole(ops), limits, ErrorCode::limit_exceeded), "100 opcodes"));
}

TEST(Pickle, LimitsTheStack) { refusal(whole(std::string(10'001, 'N')), {}, ErrorCode::limit_exceeded); }

TEST(Pickle, LimitsTheMemoSoThatOneOpcodeCannotTakeGigabytes) {
  refusal(whole("Nr\xff\xff\xff\x7f"s), {}, ErrorCode::limit_exceeded);
  refusal(whole("Nr\x40\x42\x0f\x00"s), {}, ErrorCode::limit_exceeded);  // 1,000,000
  Read(whole("Nr\x3f\x42\x0f\x00"s));                                    // 999,999
}

TEST(Pickle, LimitsDepth) {
  const auto nested = [](int levels) {
    std::string ops = ")";
    for (int i = 0; i < levels; ++i) ops += "\x85";
    return whole(ops);
  };
  Read(nested(64));
  refusal(nested(65), {}, ErrorCode::limit_exceeded);
  refusal(whole(std::string(65, '(')), {}, ErrorCode::limit_exceeded);
}

TEST(Pickle, LimitsOneString) {
  Read(whole(pickle::text(std::string(1u << 20, 'a'))));
  refusal(whole(pickle::text(std::string((1u << 20) + 1, 'a'))), {}, ErrorCode::limit_exceeded);
  refusal(whole("X\xff\xff\xff\xff"
                "abc"),
          {}, ErrorCode::limit_exceeded);
}

TEST(Pickle, AContainerInsideItselfIsBounded) {
  std::string ops = "]q\x01";
  for (int i = 0; i < 100; ++i)
    ops +=
        "h\x01"
        "a";
  refusal(whole(ops), {}, ErrorCode::limit_exceeded);
}

TEST(Pickle, AListThatIsCopiedAgainAndAgainIsBounded) {
  // OrderedDict(list) copies the list: 1,000 pairs, 2,000 times, out of a few kilobytes.
  std::string pairs;
  for (int i = 0; i < 1000; ++i)
    pairs +=
        ")"
        "N\x86"
        "0NN\x86";
  std::string ops = "](" + pairs +
                    "eq\x01"
                    "0";
  for (int i = 0; i < 2000; ++i) ops += pickle::global("collections", "OrderedDict") + "h\x01\x85R0";
  refusal(whole(ops + "N"), {}, ErrorCode::limit_exceeded);
}

TEST(TorchObjects, TakesTensorsOfAStateDict) {
  const Read read(
      whole(pickle::dict(pickle::text("w") + torch_tensor(torch_storage("HalfStorage", "7", 10), 4, {2, 3}, {3, 1}) +
                         pickle::text("n") + "K\x01")));
  std::vector<std::string> notes;
  const auto tensors = read.objects.state_dict(read.values, read.root, notes);
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].name, "w");
  EXPECT_EQ(tensors[0].type, SourceType::f16);
  EXPECT_EQ(tensors[0].offset, 4);
  EXPECT_EQ(tensors[0].shape, (TensorShape{2, 3}));
  EXPECT_EQ(read.objects.storages()[tensors[0].storage].key, "7");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(mentions(notes[0], "skipped 1"));
}

TEST(TorchObjects, KnowsEveryStorageType) {
  const std::pair<const char*, SourceType> types[] = {
      {"DoubleStorage", SourceType::f64},    {"FloatStorage", SourceType::f32}, {"HalfStorage", SourceType::f16},
      {"BFloat16Storage", SourceType::bf16}, {"LongStorage", SourceType::i64},  {"IntStorage", SourceType::i32},
      {"ShortStorage", SourceType::i16},     {"CharStorage", SourceType::i8},   {"ByteStorage", SourceType::u8},
      {"BoolStorage", SourceType::boolean}};
  for (const auto& [name, type] : types) {
    const Read read(whole(torch_storage(name, "0", 1)));
    EXPECT_EQ(read.objects.storages().at(0).type, type) << name;
  }
}

TEST(TorchObjects, SharedStoragesAreOneStorage) {
  const std::string storage = torch_storage("FloatStorage", "0", 6);
  const Read read(whole(pickle::dict(pickle::text("a") + torch_tensor(storage, 0, {3}, {1}) + pickle::text("b") +
                                     torch_tensor(storage, 3, {3}, {1}))));
  EXPECT_EQ(read.objects.storages().size(), 1u);
  refusal(whole(pickle::tuple(storage + torch_storage("FloatStorage", "0", 7))));
  refusal(whole(pickle::tuple(storage + torch_storage("HalfStorage", "0", 6))));
}

TEST(TorchObjects, AParameterIsItsTensor) {
  const Read read(whole(pickle::dict(
      pickle::text("w") +
      pickle::reduce(pickle::global("torch._utils", "_rebuild_parameter"),
                     pickle::tuple(torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1}) + "\x88" +
                                   pickle::reduce(pickle::global("collections", "OrderedDict"), ")"))))));
  std::vector<std::string> notes;
  EXPECT_EQ(read.objects.state_dict(read.values, read.root, notes).size(), 1u);
}

TEST(TorchObjects, OpensWrappersAndSaysSo) {
  const std::string inner =
      pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1}));
  for (const char* name : {"state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema", "ema"}) {
    const Read read(whole(pickle::dict(pickle::text("epoch") + "K\x05" + pickle::text(name) + inner)));
    std::vector<std::string> notes;
    EXPECT_EQ(read.objects.state_dict(read.values, read.root, notes).size(), 1u) << name;
    EXPECT_TRUE(mentions(notes.at(0), name));
  }
}

TEST(TorchObjects, SaysWhichOfTwoWrappersItTook) {
  const std::string inner =
      pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1}));
  const Read read(whole(pickle::dict(pickle::text("model") + inner + pickle::text("model_ema") + inner)));
  std::vector<std::string> notes;
  read.objects.state_dict(read.values, read.root, notes);
  EXPECT_EQ(notes.at(0), "took the weights under \"model_ema\" (not \"model\")");

  const std::string settings = pickle::dict(pickle::text("decay") + "K\x09");  // averaging's, not its weights
  const Read other(whole(pickle::dict(pickle::text("ema") + settings + pickle::text("model") + inner)));
  notes.clear();
  other.objects.state_dict(other.values, other.root, notes);
  EXPECT_EQ(notes.at(0), "opened the checkpoint's entry \"model\"");
}

TEST(TorchObjects, SaysWhatAFileHoldsThatIsNoStateDict) {
  for (const char* ops : {"N", "]", "}", ")"}) {
    const Read read(whole(ops));
    std::vector<std::string> notes;
    EXPECT_EQ(error_of([&] { read.objects.state_dict(read.values, read.root, notes); }).code(),
              ErrorCode::import_failed);
  }
}

TEST(TorchObjects, NamesTheKeysOfADictWithoutTensors) {
  const auto refused = [](const std::string& ops) {
    const Read read(whole(ops));
    std::vector<std::string> notes;
    return std::string(error_of([&] { read.objects.state_dict(read.values, read.root, notes); }).what());
  };
  EXPECT_TRUE(mentions(refused("}"), "holds an empty dict, not a state dict"));
  const std::string inner =
      pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1}));
  const std::string text = refused(pickle::dict(pickle::text("epoch") + "K\x05" + pickle::text("params") + inner));
  EXPECT_TRUE(mentions(text, "a dict without tensors, with the keys \"epoch\", \"params\", not")) << text;
  EXPECT_TRUE(mentions(text, "torch.save(c[\"params\"], \"model.pth\")")) << text;
  const std::string array =
      pickle::reduce(pickle::global("numpy.core.multiarray", "_reconstruct"), pickle::tuple("K\x01"));
  EXPECT_TRUE(mentions(refused(pickle::dict(pickle::text("w") + array)), "such as numpy arrays"));
  std::string many;
  for (int i = 0; i < 9; ++i) many += pickle::text("k" + std::to_string(i)) + "K\x01";
  EXPECT_TRUE(mentions(refused(pickle::dict(many)), "\"k7\" ..., not")) << refused(pickle::dict(many));
}

TEST(TorchObjects, SkipsNumpyScalarsAndNamespaces) {
  const std::string scalar = pickle::reduce(
      pickle::global("numpy.core.multiarray", "scalar"),
      pickle::tuple(pickle::reduce(pickle::global("numpy", "dtype"), pickle::tuple(pickle::text("f8") + "\x89\x88")) +
                    pickle::tuple("K\x03" + pickle::text("<")) + "b" +
                    pickle::reduce(pickle::global("_codecs", "encode"),
                                   pickle::tuple(pickle::text("x") + pickle::text("latin1")))));
  // dtype objects get their state by BUILD, which takes the tuple before "b".
  const std::string space =
      pickle::global("argparse", "Namespace") + ")\x81" + pickle::dict(pickle::text("lr") + "K\x01") + "b";
  const Read read(whole(pickle::dict(
      pickle::text("best") + scalar + pickle::text("args") + space + pickle::text("state_dict") +
      pickle::dict(pickle::text("w") + torch_tensor(torch_storage("FloatStorage", "0", 1), 0, {1}, {1})))));
  std::vector<std::string> notes;
  EXPECT_EQ(read.objects.state_dict(read.values, read.root, notes).size(), 1u);
}

TEST(TorchObjects, RefusesViewsThatLeaveTheirStorage) {
  const auto view = [](std::int32_t offset, std::vector<std::int32_t> size, std::vector<std::int32_t> stride) {
    return refusal(whole(torch_tensor(torch_storage("FloatStorage", "0", 12), offset, size, stride)));
  };
  EXPECT_TRUE(mentions(view(0, {13}, {1}), "element 12 of a storage with 12"));
  EXPECT_TRUE(mentions(view(1, {12}, {1}), "element 12"));
  EXPECT_TRUE(mentions(view(0, {3, 4}, {5, 1}), "element 13"));
  EXPECT_TRUE(mentions(view(-1, {2}, {1}), "negative storage offset"));
  EXPECT_TRUE(mentions(view(0, {2}, {-1}), "negative stride"));
  EXPECT_TRUE(mentions(view(0, {-2}, {1}), "negative size"));
  EXPECT_TRUE(mentions(view(0, {2, 2}, {1}), "2 sizes but 1 strides"));
  EXPECT_TRUE(mentions(view(0, {1000}, {0}), "repeats elements"));
  EXPECT_TRUE(mentions(view(0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}), "9 dimensions"));
}

TEST(TorchObjects, SizesThatOverflowAreErrors) {
  const std::int32_t big = 2'000'000'000;
  refusal(whole(torch_tensor(torch_storage("FloatStorage", "0", 12), 0, {big, big, big}, {1, 1, 1})), {},
          ErrorCode::overflow);
  refusal(whole(torch_tensor(torch_storage("FloatStorage", "0", 12), 0, {2, 2, 3}, {big, big, big})));
}

TEST(TorchObjects, RefusesPersistentIdsOfAnyOtherForm) {
  for (const std::string& id :
       {pickle::text("storage"), pickle::tuple(pickle::text("storage")),
        pickle::tuple(pickle::text("module") + pickle::global("torch", "FloatStorage") + pickle::text("0") +
                      pickle::text("cpu") + "K\x01"),
        pickle::tuple(pickle::text("storage") + pickle::global("collections", "OrderedDict") + pickle::text("0") +
                      pickle::text("cpu") + "K\x01"),
        pickle::tuple(pickle::text("storage") + pickle::global("torch", "FloatStorage") + "K\x01" +
                      pickle::text("cpu") + "K\x01"),
        pickle::tuple(pickle::text("storage") + pickle::global("torch", "FloatStorage") + pickle::text("0") +
                      pickle::text("cpu") + pickle::integer(-1)),
        pickle::tuple(pickle::text("storage") + pickle::global("torch", "FloatStorage") + pickle::text("0") +
                      pickle::text("cpu") + "K\x01" + pickle::tuple("K\x01"))}) {
    refusal(whole(id + "Q"));
  }
}

TEST(TorchObjects, RefusesTensorsWithOtherArguments) {
  const std::string storage = torch_storage("FloatStorage", "0", 4);
  const std::string rebuild = pickle::global("torch._utils", "_rebuild_tensor_v2");
  for (const std::string& arguments :
       {pickle::tuple(""), pickle::tuple("NK\x01)"), pickle::tuple(storage + "NK\x01)"),
        pickle::tuple(storage + "K\x01NN"),
        pickle::tuple(storage + "K\x01" + pickle::tuple("N") + pickle::tuple("K\x01"))}) {
    refusal(whole(pickle::reduce(rebuild, arguments)));
  }
  refusal(whole(pickle::reduce(pickle::global("torch", "FloatStorage"), ")")));
}

TEST(TorchObjects, RefusesTwoTensorsOfOneName) {
  const std::string tensor = torch_tensor(torch_storage("FloatStorage", "0", 2), 0, {2}, {1});
  const Read read(whole(pickle::dict(pickle::text("w") + tensor + pickle::text("w") + tensor)));
  std::vector<std::string> notes;
  EXPECT_EQ(error_of([&] { read.objects.state_dict(read.values, read.root, notes); }).code(), ErrorCode::import_failed);
}

}  // namespace
}  // namespace resnet::convert
