#include "convert/importers/pickle.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.hpp"

namespace resnet::convert {
namespace {

/// Opcodes by the names that Python's pickletools prints.
enum class Op : unsigned char {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  binfloat = 'G',
  binint = 'J',
  binint1 = 'K',
  binint2 = 'M',
  none = 'N',
  binpersid = 'Q',
  reduce = 'R',
  binstring = 'T',
  short_binstring = 'U',
  binunicode = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  appends = 'e',
  binget = 'h',
  long_binget = 'j',
  empty_list = ']',
  binput = 'q',
  long_binput = 'r',
  setitem = 's',
  tuple = 't',
  empty_tuple = ')',
  setitems = 'u',
  empty_dict = '}',
  proto = 0x80,
  newobj = 0x81,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  newtrue = 0x88,
  newfalse = 0x89,
  long1 = 0x8a,
};

constexpr PickleId no_value = std::numeric_limits<PickleId>::max();

class Machine {
 public:
  Machine(std::span<const std::byte> pickle, PickleValues& values, PickleHost& host, const PickleLimits& limits,
          const std::string& where)
      : bytes_(pickle), values_(values), host_(host), limits_(limits), where_(where) {}

  /// @param length receives where the pickle ends; null: at the end of the bytes
  PickleId run(std::size_t* length) {
    for (std::size_t count = 0; count < limits_.opcodes; ++count) {
      start_ = position_;
      const auto op = static_cast<Op>(take(1)[0]);
      if (op == Op::stop) {
        const PickleId result = pop();
        if (!stack_.empty() || !marks_.empty()) reject("values are left on the stack at the end");
        if (length != nullptr) {
          *length = position_;
        } else if (position_ != bytes_.size()) {
          reject("bytes follow the end of the pickle");
        }
        return result;
      }
      step(op);
      if (stack_.size() > limits_.stack) limit("stack entries", limits_.stack);
    }
    limit("opcodes", limits_.opcodes);
  }

 private:
  [[noreturn]] void reject(const std::string& message) const {
    fail(ErrorCode::import_failed, "pickle byte " + std::to_string(start_) + ": " + message, where_,
         "save a plain state dict again: torch.save(model.state_dict(), \"model.pth\")");
  }
  [[noreturn]] void limit(const char* what, std::size_t value) const {
    fail(ErrorCode::limit_exceeded,
         "pickle byte " + std::to_string(start_) + ": more than " + std::to_string(value) + ' ' + what, where_,
         "save a plain state dict again: torch.save(model.state_dict(), \"model.pth\")");
  }

  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - position_) reject("the pickle ends in the middle of an opcode");
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, count);
    position_ += count;
    return text;
  }
  template <class T>
  T take_little_endian() {
    const std::string_view raw = take(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
    return static_cast<T>(value);
  }
  std::string_view take_line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_, bytes_.size() - position_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) reject("a name has no end");
    check_length(end);
    position_ += end + 1;
    return rest.substr(0, end);
  }
  void check_length(std::size_t bytes) const {
    if (bytes > limits_.string_bytes) limit("bytes in one string", limits_.string_bytes);
  }

  void push(PickleId id) { stack_.push_back(id); }
  void push(PickleKind kind, std::int64_t number = 0) { push(values_.add(kind, number)); }
  void push_string(std::uint64_t bytes) {
    check_length(bytes);
    PickleValue value;
    value.kind = PickleKind::string;
    value.text = take(bytes);
    push(values_.add(std::move(value)));
  }
  /// First stack position that belongs to the innermost mark, or to the whole pickle.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleId pop() {
    if (stack_.size() <= floor()) reject("stack underflow");
    const PickleId id = stack_.back();
    stack_.pop_back();
    return id;
  }
  PickleId top() const {
    if (stack_.size() <= floor()) reject("stack underflow");
    return stack_.back();
  }
  std::vector<PickleId> pop_to_mark() {
    if (marks_.empty()) reject("no mark on the stack");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleId> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(std::vector<PickleId> items) {
    PickleValue empty;
    empty.kind = PickleKind::tuple;
    const PickleId id = values_.add(std::move(empty));
    values_.append(id, items);
    push(id);
  }
  void push_tuple_of(std::size_t count) {
    if (stack_.size() - floor() < count) reject("stack underflow");
    std::vector<PickleId> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    push_tuple(std::move(items));
  }

  void append(const std::vector<PickleId>& items) {
    const PickleKind kind = values_[top()].kind;
    if (kind == PickleKind::ignored) return;
    if (kind != PickleKind::list) reject("APPEND to something that is no list");
    values_.append(top(), items);
  }
  void set(const std::vector<PickleId>& items) {
    if (items.size() % 2 != 0) reject("SETITEMS with a key that has no value");
    const PickleKind kind = values_[top()].kind;
    if (kind == PickleKind::ignored) return;
    if (kind != PickleKind::dict) reject("SETITEM on something that is no dict");
    values_.append(top(), items);
  }
  void get(std::size_t index) {
    if (index >= memo_.size() || memo_[index] == no_value)
      reject("memo entry " + std::to_string(index) + " is not set");
    push(memo_[index]);
  }
  void put(std::size_t index) {
    if (index >= limits_.memo) limit("memo entries", limits_.memo);
    const PickleId id = top();
    if (index >= memo_.size()) memo_.resize(index + 1, no_value);
    memo_[index] = id;
  }
  void push_long() {
    const auto count = static_cast<std::uint8_t>(take(1)[0]);
    const std::string_view raw = take(count);
    if (count > 8) reject("an integer of " + std::to_string(count) + " bytes");
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
    if (count > 0 && count < 8 && (static_cast<unsigned char>(raw[count - 1u]) & 0x80) != 0) {
      value |= ~std::uint64_t{0} << (8 * count);  // two's complement
    }
    push(PickleKind::integer, static_cast<std::int64_t>(value));
  }
  void push_float() {
    const std::string_view raw = take(8);
    std::uint64_t bits = 0;
    for (const char c : raw) bits = bits << 8 | static_cast<unsigned char>(c);
    PickleValue value;
    value.kind = PickleKind::real;
    value.real = std::bit_cast<double>(bits);
    push(values_.add(std::move(value)));
  }
  void build() {
    pop();  // the state: attributes such as a state dict's _metadata, which carry no weights
    const PickleKind kind = values_[top()].kind;
    if (kind != PickleKind::dict && kind != PickleKind::ignored) reject("BUILD on something that is no dict");
  }
  void reduce() {
    const PickleId arguments = pop();
    const PickleId callable = pop();
    if (values_[callable].kind != PickleKind::global) reject("REDUCE of something that is no global");
    if (values_[arguments].kind != PickleKind::tuple) reject("REDUCE with arguments that are no tuple");
    push(host_.reduce(values_, callable, arguments));
  }

  void step(Op op) {
    switch (op) {
      case Op::proto:
        if (start_ != 0) reject("PROTO in the middle");
        if (const int version = take(1)[0]; version != 2) {
          reject("pickle protocol " + std::to_string(version) + ", torch.save writes 2");
        }
        return;
      case Op::mark:
        if (marks_.size() >= static_cast<std::size_t>(limits_.depth)) {
          limit("open marks", static_cast<std::size_t>(limits_.depth));
        }
        marks_.push_back(stack_.size());
        return;
      case Op::pop:
        pop();
        return;
      case Op::pop_mark:
        pop_to_mark();
        return;
      case Op::none:
        push(PickleKind::none);
        return;
      case Op::newtrue:
        push(PickleKind::boolean, 1);
        return;
      case Op::newfalse:
        push(PickleKind::boolean, 0);
        return;
      case Op::binint:
        push(PickleKind::integer, take_little_endian<std::int32_t>());
        return;
      case Op::binint1:
        push(PickleKind::integer, take_little_endian<std::uint8_t>());
        return;
      case Op::binint2:
        push(PickleKind::integer, take_little_endian<std::uint16_t>());
        return;
      case Op::long1:
        push_long();
        return;
      case Op::binfloat:
        push_float();
        return;
      case Op::binunicode:
        push_string(take_little_endian<std::uint32_t>());
        return;
      case Op::binstring:
        push_string(take_little_endian<std::uint32_t>());
        return;
      case Op::short_binstring:
        push_string(take_little_endian<std::uint8_t>());
        return;
      case Op::empty_tuple:
        push(PickleKind::tuple);
        return;
      case Op::empty_list:
        push(PickleKind::list);
        return;
      case Op::empty_dict:
        push(PickleKind::dict);
        return;
      case Op::tuple:
        push_tuple(pop_to_mark());
        return;
      case Op::tuple1:
        push_tuple_of(1);
        return;
      case Op::tuple2:
        push_tuple_of(2);
        return;
      case Op::tuple3:
        push_tuple_of(3);
        return;
      case Op::append: {
        const PickleId item = pop();
        append({item});
        return;
      }
      case Op::appends:
        append(pop_to_mark());
        return;
      case Op::setitem: {
        const PickleId value = pop();
        const PickleId key = pop();
        set({key, value});
        return;
      }
      case Op::setitems:
        set(pop_to_mark());
        return;
      case Op::binget:
        get(take_little_endian<std::uint8_t>());
        return;
      case Op::long_binget:
        get(take_little_endian<std::uint32_t>());
        return;
      case Op::binput:
        put(take_little_endian<std::uint8_t>());
        return;
      case Op::long_binput:
        put(take_little_endian<std::uint32_t>());
        return;
      case Op::global: {
        const std::string_view module = take_line();
        const std::string_view name = take_line();
        push(PickleKind::global, host_.global(module, name));
        return;
      }
      case Op::reduce:
      case Op::newobj:
        reduce();
        return;
      case Op::binpersid:
        push(host_.persistent(values_, pop()));
        return;
      case Op::build:
        build();
        return;
      case Op::stop:
        break;  // handled by run()
    }
    char code[8];
    static constexpr char digits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(op);
    code[0] = '0', code[1] = 'x', code[2] = digits[byte >> 4], code[3] = digits[byte & 15], code[4] = 0;
    reject(std::string("opcode ") + code + " is not one that torch.save writes for a state dict");
  }

  std::span<const std::byte> bytes_;
  PickleValues& values_;
  PickleHost& host_;
  const PickleLimits& limits_;
  const std::string& where_;
  std::size_t position_ = 0, start_ = 0;
  std::vector<PickleId> stack_;
  std::vector<std::size_t> marks_;
  std::vector<PickleId> memo_;
};

}  // namespace

PickleId PickleValues::add(PickleValue value) {
  if (values_.size() >= no_value) fail(ErrorCode::limit_exceeded, "too many pickle values", "pickle");
  values_.push_back(std::move(value));
  return static_cast<PickleId>(values_.size() - 1);
}

PickleId PickleValues::add(PickleKind kind, std::int64_t number) {
  PickleValue value;
  value.kind = kind;
  value.number = number;
  return add(std::move(value));
}

void PickleValues::append(PickleId container, std::span<const PickleId> items) {
  PickleValue& target = values_[container];
  for (const PickleId item : items) target.depth = std::max(target.depth, values_[item].depth + 1);
  if (target.depth > limits_.depth) {
    fail(ErrorCode::limit_exceeded, "containers nested deeper than " + std::to_string(limits_.depth), "pickle");
  }
  // Without this a list that is copied again and again (OrderedDict(list)) costs more than its opcodes.
  items_ += items.size();
  if (items_ > limits_.items) {
    fail(ErrorCode::limit_exceeded, "more than " + std::to_string(limits_.items) + " container items", "pickle");
  }
  target.items.insert(target.items.end(), items.begin(), items.end());
}

const PickleId* PickleValues::find(PickleId dict, std::string_view key) const {
  const auto& items = values_[dict].items;
  for (std::size_t i = items.size(); i >= 2; i -= 2) {
    const PickleValue& name = values_[items[i - 2]];
    if (name.kind == PickleKind::string && name.text == key) return &items[i - 1];
  }
  return nullptr;
}

PickleId read_pickle(std::span<const std::byte> pickle, PickleValues& values, PickleHost& host,
                     const PickleLimits& limits, const std::string& where, std::size_t* length) {
  return Machine(pickle, values, host, limits, where).run(length);
}

}  // namespace resnet::convert
