// The one file that sees protobuf. Three levels (model, graph, initializer) are walked field by field, so that the
// values of weights stay in the file and only their places are kept; everything below is parsed by ONNX's own classes.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "common/text.hpp"
#include "convert/importers/onnx/model.hpp"

namespace resnet::convert::onnx {
namespace {

namespace pb = google::protobuf;
using pb::internal::WireFormatLite;

constexpr std::size_t max_entries = 20'000;  // nodes, and initializers; a ResNet-1001 has 4,000
constexpr std::size_t max_name = 4096;
constexpr int max_nesting = 32;
constexpr const char* damaged = "the file is damaged or incomplete: download or export it again";

/// The file in pieces; what is skipped is not read.
class FileStream final : public pb::io::ZeroCopyInputStream {
 public:
  explicit FileStream(const SourceFile& file) : file_(file), buffer_(64u << 10) {}
  bool Next(const void** data, int* size) override {
    const std::uint64_t count = std::min<std::uint64_t>(buffer_.size(), file_.size() - position_);
    if (count == 0) return false;
    file_.read(position_, std::span(buffer_).first(static_cast<std::size_t>(count)));
    position_ += count;
    *data = buffer_.data();
    *size = static_cast<int>(count);
    return true;
  }
  void BackUp(int count) override { position_ -= static_cast<std::uint64_t>(count); }
  bool Skip(int count) override {
    const std::uint64_t left = file_.size() - position_;
    position_ += std::min(left, static_cast<std::uint64_t>(count));
    return static_cast<std::uint64_t>(count) <= left;
  }
  std::int64_t ByteCount() const override { return static_cast<std::int64_t>(position_); }

 private:
  const SourceFile& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t position_ = 0;
};

struct TypeRow {
  SourceType type;
  const char* name;
};
TypeRow type_row(std::int32_t data_type) {
  using T = ::onnx::TensorProto;
  switch (data_type) {
    case T::FLOAT:
      return {SourceType::f32, "FLOAT"};
    case T::DOUBLE:
      return {SourceType::f64, "DOUBLE"};
    case T::FLOAT16:
      return {SourceType::f16, "FLOAT16"};
    case T::BFLOAT16:
      return {SourceType::bf16, "BFLOAT16"};
    case T::INT64:
      return {SourceType::i64, "INT64"};
    case T::INT32:
      return {SourceType::i32, "INT32"};
    case T::INT16:
      return {SourceType::i16, "INT16"};
    case T::INT8:
      return {SourceType::i8, "INT8"};
    case T::UINT8:
      return {SourceType::u8, "UINT8"};
    case T::BOOL:
      return {SourceType::boolean, "BOOL"};
    case T::STRING:
      return {SourceType::other, "STRING"};
    case T::UINT16:
      return {SourceType::other, "UINT16"};
    case T::UINT32:
      return {SourceType::other, "UINT32"};
    case T::UINT64:
      return {SourceType::other, "UINT64"};
    default:
      return {SourceType::other, "another type"};
  }
}

/// The place of values that were left in the file.
struct Range {
  std::uint64_t offset = 0, bytes = 0;
};

template <class T, class Field>
std::vector<std::byte> pack(const Field& values) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(values.size()) * sizeof(T));
  std::byte* to = bytes.data();
  for (const auto value : values) {
    const T element = static_cast<T>(value);
    std::memcpy(to, &element, sizeof element);
    to += sizeof element;
  }
  return bytes;
}

class Parser {
 public:
  explicit Parser(const SourceFiles& files)
      : files_(files), where_(files.main.name()), stream_(files.main), in_(&stream_) {
    in_.SetRecursionLimit(max_nesting);
  }

  Model run() {
    const std::uint64_t size = files_.main.size();
    if (size > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
      fail(ErrorCode::limit_exceeded, "is larger than the 2 GiB that a protobuf message may have", where_,
           "export it with external data");
    }
    const auto limit = in_.PushLimit(static_cast<int>(size));
    read_model();
    in_.PopLimit(limit);
    if (!graph_seen_) fail(ErrorCode::import_failed, "holds no graph", where_, damaged);
    if (model_.opset == 0) {
      fail(ErrorCode::import_failed, "names no version of ONNX's operators (opset_import)", where_, damaged);
    }
    return std::move(model_);
  }

 private:
  [[noreturn]] void reject(const std::string& message, const std::string& where, const char* next = damaged) const {
    fail(ErrorCode::import_failed, message, where.empty() ? where_ : where_ + ": " + where, next);
  }
  [[noreturn]] void cut(const char* what) {
    fail(ErrorCode::truncated,
         std::string("ends or is damaged at byte ") + std::to_string(in_.CurrentPosition()) + ", inside " + what,
         where_, "download or export the file again");
  }

  /// The length of a record whose tag was read, checked against what is left of the record around it.
  int length(const char* what) {
    std::uint32_t bytes = 0;
    if (!in_.ReadVarint32(&bytes)) cut(what);
    const int left = in_.BytesUntilLimit();
    if (left < 0 || bytes > static_cast<std::uint32_t>(left)) cut(what);
    return static_cast<int>(bytes);
  }
  /// Calls `field(tag)` for every field of the record that ends at the current limit.
  template <class Field>
  void fields(const char* what, Field field) {
    while (in_.BytesUntilLimit() > 0) {
      const std::uint32_t tag = in_.ReadTag();
      if (tag == 0) cut(what);
      field(tag);
    }
  }
  void skip(std::uint32_t tag, const char* what) {
    if (!WireFormatLite::SkipField(&in_, tag)) cut(what);
  }
  template <class Body>
  void record(const char* what, Body body) {
    const auto limit = in_.PushLimit(length(what));
    body();
    if (in_.BytesUntilLimit() != 0) cut(what);
    in_.PopLimit(limit);
  }
  template <class Message>
  Message message(const char* what) {
    Message parsed;
    record(what, [&] {
      if (!parsed.MergeFromCodedStream(&in_)) cut(what);
    });
    return parsed;
  }
  std::string text(const std::string& bytes, const char* what) const {
    if (bytes.size() > max_name) {
      fail(ErrorCode::limit_exceeded,
           std::string(what) + " has " + std::to_string(bytes.size()) + " bytes, the limit is " +
               std::to_string(max_name),
           where_);
    }
    std::string clean = tools::to_utf8(bytes);
    for (char& c : clean) {  // names stand in errors of one line
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '_';
    }
    return clean;
  }
  std::string read_text(const char* what) {
    std::string bytes;
    if (!in_.ReadString(&bytes, length(what))) cut(what);
    return text(bytes, what);
  }

  void read_model() {
    using M = ::onnx::ModelProto;
    fields("the model", [&](std::uint32_t tag) {
      const bool record_tag = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      if (record_tag && number == M::kGraphFieldNumber) {
        if (std::exchange(graph_seen_, true)) reject("holds two graphs", "");
        record("the graph", [&] { read_graph(); });
      } else if (record_tag && number == M::kOpsetImportFieldNumber) {
        const auto set = message<::onnx::OperatorSetIdProto>("opset_import");
        if (set.domain().empty() || set.domain() == "ai.onnx") model_.opset = set.version();
      } else if (record_tag && number == M::kProducerNameFieldNumber) {
        model_.producer = read_text("the producer's name");
      } else {
        skip(tag, "the model");
      }
    });
  }

  void read_graph() {
    using G = ::onnx::GraphProto;
    fields("the graph", [&](std::uint32_t tag) {
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        skip(tag, "the graph");
        return;
      }
      switch (WireFormatLite::GetTagFieldNumber(tag)) {
        case G::kNodeFieldNumber:
          add(model_.nodes, node_of(message<::onnx::NodeProto>("a node")), "nodes");
          break;
        case G::kInitializerFieldNumber:
          add(model_.initializers, read_initializer(), "initializers");
          break;
        case G::kSparseInitializerFieldNumber:
          reject("holds sparse weights (sparse_initializer), which are not read", "",
                 "export the model with dense weights");
        case G::kInputFieldNumber:
          add(model_.inputs, value_of(message<::onnx::ValueInfoProto>("an input")), "inputs");
          break;
        case G::kOutputFieldNumber:
          add(model_.outputs, value_of(message<::onnx::ValueInfoProto>("an output")), "outputs");
          break;
        case G::kNameFieldNumber:
          model_.graph_name = read_text("the graph's name");
          break;
        default:
          skip(tag, "the graph");
      }
    });
  }
  template <class T>
  void add(std::vector<T>& list, T entry, const char* what) const {
    if (list.size() == max_entries) {
      fail(ErrorCode::limit_exceeded, "has more than " + std::to_string(max_entries) + ' ' + what, where_);
    }
    list.push_back(std::move(entry));
  }

  /// Values that lie in the file as they are needed stay there; the rest of the fields goes through ONNX's class.
  Tensor read_initializer() {
    using T = ::onnx::TensorProto;
    std::string rest;
    std::optional<Range> range;
    record("a tensor", [&] {
      pb::io::StringOutputStream sink(&rest);
      pb::io::CodedOutputStream out(&sink);
      fields("a tensor", [&](std::uint32_t tag) {
        const int number = WireFormatLite::GetTagFieldNumber(tag);
        const bool values = number == T::kRawDataFieldNumber || number == T::kFloatDataFieldNumber ||
                            number == T::kDoubleDataFieldNumber;
        if (!values || WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
          if (!WireFormatLite::SkipField(&in_, tag, &out)) cut("a tensor");
          return;
        }
        const int bytes = length("a tensor's values");
        if (range) reject("a tensor holds its values in several pieces", "", "save the model again with onnx.save");
        range = Range{static_cast<std::uint64_t>(in_.CurrentPosition()), static_cast<std::uint64_t>(bytes)};
        if (!in_.Skip(bytes)) cut("a tensor's values");
      });
    });
    ::onnx::TensorProto tensor;
    pb::io::CodedInputStream again(reinterpret_cast<const std::uint8_t*>(rest.data()), static_cast<int>(rest.size()));
    again.SetRecursionLimit(max_nesting);
    if (!tensor.MergeFromCodedStream(&again) || !again.ConsumedEntireMessage()) cut("a tensor");
    return tensor_of(tensor, range);
  }

  Tensor tensor_of(const ::onnx::TensorProto& tensor, const std::optional<Range>& range) const {
    Tensor result;
    SourceTensor& view = result.view;
    view.name = text(tensor.name(), "a tensor's name");
    const std::string where = "tensor \"" + view.name + '"';
    const TypeRow row = type_row(tensor.data_type());
    view.type = row.type;
    result.type = row.name;
    if (row.type == SourceType::other) view.other_type = row.name;
    if (tensor.dims_size() > 8) reject(std::to_string(tensor.dims_size()) + " dimensions, 8 at most are read", where);
    view.shape.assign(tensor.dims().begin(), tensor.dims().end());
    view.strides = row_major_strides(view.shape, where);
    const std::int64_t count = element_count(view.shape, where);
    if (tensor.has_segment()) reject("is split into segments, which are not read", where);
    if (view.type == SourceType::other) return result;
    const std::int64_t bytes = checked_mul(count, size_of(view.type), where);
    view.storage = store(tensor, view.type, range, static_cast<std::uint64_t>(bytes), where);
    if (model_.storages->bytes(view.storage) != static_cast<std::uint64_t>(bytes)) {
      reject("is " + to_string(view.shape) + ' ' + result.type + " (" + std::to_string(bytes) + " bytes), but has " +
                 std::to_string(model_.storages->bytes(view.storage)) + " bytes of values",
             where);
    }
    check_view(view, count);
    return result;
  }

  std::size_t store(const ::onnx::TensorProto& tensor, SourceType type, const std::optional<Range>& range,
                    std::uint64_t bytes, const std::string& where) const {
    Storages& storages = *model_.storages;
    if (tensor.data_location() == ::onnx::TensorProto::EXTERNAL || tensor.external_data_size() > 0) {
      return external(tensor, bytes, where);
    }
    if (range) return storages.add(files_.main, range->offset, range->bytes);
    if (tensor.has_raw_data()) {
      const auto* data = reinterpret_cast<const std::byte*>(tensor.raw_data().data());
      return storages.add(std::vector<std::byte>(data, data + tensor.raw_data().size()));
    }
    switch (type) {
      case SourceType::f32:
        return storages.add(pack<float>(tensor.float_data()));
      case SourceType::f64:
        return storages.add(pack<double>(tensor.double_data()));
      case SourceType::i64:
        return storages.add(pack<std::int64_t>(tensor.int64_data()));
      case SourceType::i32:
        return storages.add(pack<std::int32_t>(tensor.int32_data()));
      case SourceType::f16:
      case SourceType::bf16:
      case SourceType::i16:
        return storages.add(pack<std::uint16_t>(tensor.int32_data()));
      default:
        return storages.add(pack<std::uint8_t>(tensor.int32_data()));
    }
  }

  std::size_t external(const ::onnx::TensorProto& tensor, std::uint64_t bytes, const std::string& where) const {
    std::string location;
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length;
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() == "location") location = text(entry.value(), "an external file's name");
      if (entry.key() == "offset") offset = number_of(entry.value(), where);
      if (entry.key() == "length") length = number_of(entry.value(), where);
    }
    if (location.empty() || location == "." || location == ".." || location.find_first_of("/\\") != std::string::npos) {
      reject("keeps its values in \"" + location + "\", which is no plain file name", where,
             "save the model as one file: onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")");
    }
    if (!files_.external_data) {
      reject("keeps its values in another file, \"" + location + '"', where,
             "convert with --allow-external-data, with that file in the model's folder");
    }
    if (const auto other = files_.no_external.find(location); other != files_.no_external.end()) {
      fail(ErrorCode::import_failed, other->second.why, other->second.path, other->second.next);
    }
    const SourceFile* file = files_.find(location);
    if (file == nullptr) {
      reject("keeps its values in \"" + location + "\", which is not in the model's folder", where,
             "copy it there under that name");
    }
    if (offset > file->size() || (length ? *length : bytes) > file->size() - offset) {
      fail(ErrorCode::truncated,
           "needs " + std::to_string(length ? *length : bytes) + " bytes from byte " + std::to_string(offset) + " of " +
               location + ", which has " + std::to_string(file->size()),
           where_ + ": " + where, "copy both files again");
    }
    return model_.storages->add(*file, offset, length ? *length : bytes);
  }
  std::uint64_t number_of(const std::string& digits, const std::string& where) const {
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
      reject("offset or length of its external values is no number", where);
    }
    return value;
  }

  ValueInfo value_of(const ::onnx::ValueInfoProto& value) const {
    ValueInfo result;
    result.name = text(value.name(), "a value's name");
    if (!value.type().has_tensor_type()) {
      result.type = "no tensor";
      return result;
    }
    const auto& type = value.type().tensor_type();
    result.type = type_row(type.elem_type()).name;
    result.has_shape = type.has_shape();
    if (type.shape().dim_size() > 8) reject("has more than 8 dimensions", "value \"" + result.name + '"');
    for (const auto& dim : type.shape().dim()) result.dims.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
    return result;
  }

  Node node_of(const ::onnx::NodeProto& node) const {
    Node result;
    result.name = text(node.name(), "a node's name");
    result.op = text(node.op_type(), "an operator's name");
    result.domain = text(node.domain(), "a domain's name");
    for (const std::string& input : node.input()) result.inputs.push_back(text(input, "a value's name"));
    for (const std::string& output : node.output()) result.outputs.push_back(text(output, "a value's name"));
    for (const auto& attribute : node.attribute()) {
      const auto [place, added] =
          result.attributes.emplace(text(attribute.name(), "an attribute's name"), attribute_of(attribute));
      if (!added) reject("has the attribute \"" + place->first + "\" twice", "node \"" + result.name + '"');
    }
    return result;
  }

  Attribute attribute_of(const ::onnx::AttributeProto& attribute) const {
    using A = ::onnx::AttributeProto;
    Attribute result;
    auto type = attribute.type();
    if (type == A::UNDEFINED) {  // before IR version 2 the field that is set tells
      type = attribute.has_f()             ? A::FLOAT
             : attribute.has_i()           ? A::INT
             : attribute.has_s()           ? A::STRING
             : attribute.has_t()           ? A::TENSOR
             : attribute.floats_size() > 0 ? A::FLOATS
                                           : A::INTS;
    }
    result.type = A::AttributeType_Name(type);
    switch (type) {
      case A::FLOAT:
        result.kind = AttributeKind::number;
        result.number = static_cast<double>(attribute.f());
        break;
      case A::INT:
        result.kind = AttributeKind::integer;
        result.integer = attribute.i();
        break;
      case A::STRING:
        result.kind = AttributeKind::text;
        result.text = text(attribute.s(), "an attribute");
        break;
      case A::FLOATS:
        result.kind = AttributeKind::numbers;
        for (const float value : attribute.floats()) result.numbers.push_back(static_cast<double>(value));
        break;
      case A::INTS:
        result.kind = AttributeKind::integers;
        result.integers.assign(attribute.ints().begin(), attribute.ints().end());
        break;
      case A::TENSOR:
        result.kind = AttributeKind::tensor;
        result.tensor = tensor_of(attribute.t(), std::nullopt);
        break;
      default:
        break;
    }
    return result;
  }

  const SourceFiles& files_;
  const std::string where_;
  FileStream stream_;
  pb::io::CodedInputStream in_;
  Model model_;
  bool graph_seen_ = false;
};

}  // namespace

Model parse(const SourceFiles& files) { return Parser(files).run(); }

}  // namespace resnet::convert::onnx
