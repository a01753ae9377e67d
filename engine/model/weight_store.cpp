#include "model/weight_store.hpp"

#include <algorithm>
#include <numeric>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "base/checked.hpp"
#include "base/parallel.hpp"

namespace resnet {
namespace {

constexpr std::size_t alignment = 64;

/// Host memory that a task borrows and the next one uses again: the first touch of fresh pages costs more than reading.
class ScratchPool {
 public:
  class Loan {
   public:
    Loan(ScratchPool& pool, std::size_t bytes) : pool_(pool), buffer_(pool.take()) {
      if (buffer_.size() < bytes) buffer_ = AlignedBuffer();  // freed before the larger one is allocated
      if (bytes > 0 && !buffer_) buffer_ = AlignedBuffer(bytes);
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { pool_.give(std::move(buffer_)); }
    std::byte* data() noexcept { return buffer_.data(); }

   private:
    ScratchPool& pool_;
    AlignedBuffer buffer_;
  };

  explicit ScratchPool(std::size_t threads) { free_.reserve(threads); }

 private:
  AlignedBuffer take() {
    const std::lock_guard guard(lock_);
    if (free_.empty()) return {};
    AlignedBuffer buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  void give(AlignedBuffer buffer) noexcept {
    const std::lock_guard guard(lock_);
    if (free_.size() < free_.capacity()) free_.push_back(std::move(buffer));
  }

  std::mutex lock_;
  std::vector<AlignedBuffer> free_;
};

std::size_t value_count(const StoredTensor& tensor) { return tensor.bytes / size_of(tensor.dtype); }

/// Bytes of all tensors of a request as f32, each aligned.
std::size_t values_bytes(const ModelFile& file, const WeightRequest& request) {
  std::size_t bytes = 0;
  for (const std::string& name : request.tensors) {
    const std::size_t tensor = checked_mul(value_count(file.tensor(name)), sizeof(float), name);
    bytes = checked_add(bytes, checked_align(tensor, alignment, name), name);
  }
  return bytes;
}

/// A request in file order: read into `out`, nothing else to do.
void read_plain(const ModelFile& file, const WeightRequest& request, std::byte* out) {
  ensure(request.tensors.size() == 1, "a request without a pack function has one tensor");
  const StoredTensor& tensor = file.tensor(request.tensors.front());
  const std::size_t count = value_count(tensor);
  ensure(request.bytes == count * sizeof(float), "a request without a pack function is as large as its tensor");
  file.read_f32(tensor, {reinterpret_cast<float*>(out), count});
}

void read_and_pack(const ModelFile& file, const WeightRequest& request, ScratchPool& scratch, std::byte* out) {
  if (!request.pack) return read_plain(file, request, out);
  ScratchPool::Loan values(scratch, values_bytes(file, request));
  std::vector<TensorValues> tensors;
  std::byte* next = values.data();
  for (const std::string& name : request.tensors) {
    const StoredTensor& tensor = file.tensor(name);
    const std::span<float> floats(reinterpret_cast<float*>(next), value_count(tensor));
    file.read_f32(tensor, floats);
    tensors.push_back({&tensor, floats});
    next += round_up(static_cast<std::int64_t>(floats.size_bytes()), alignment);
  }
  request.pack(tensors, out);
}

}  // namespace

/// Entries of the map that a call has reserved for what it is about to pack. Given up unless stored.
class WeightStore::Claims {
 public:
  explicit Claims(WeightStore& store) : store_(store) {}
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;
  ~Claims() {
    if (entries_.empty()) return;
    const std::lock_guard guard(store_.lock_);
    for (const auto& entry : entries_) store_.buffers_.erase(entry);
    store_.settled_.notify_all();
  }

  /// Reserves every request that is neither stored nor being packed, and returns those.
  std::vector<const WeightRequest*> claim(std::span<const WeightRequest> requests, std::span<const Key> keys) {
    std::vector<const WeightRequest*> claimed;
    claimed.reserve(requests.size());
    entries_.reserve(requests.size());
    const std::lock_guard guard(store_.lock_);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto [entry, fresh] = store_.buffers_.try_emplace(keys[i]);
      if (!fresh) continue;
      entries_.push_back(entry);
      claimed.push_back(&requests[i]);
    }
    return claimed;
  }

  /// Stores the packed buffers, in the order that claim() gave.
  void store(std::vector<std::unique_ptr<DeviceBuffer>> buffers) noexcept {
    const std::lock_guard guard(store_.lock_);
    for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i]->second = std::move(buffers[i]);
    entries_.clear();
    store_.settled_.notify_all();
  }

 private:
  WeightStore& store_;
  std::vector<std::map<Key, std::unique_ptr<DeviceBuffer>>::iterator> entries_;
};

WeightStore::WeightStore(std::shared_ptr<const ModelFile> file) : file_(std::move(file)) {}

std::vector<std::unique_ptr<DeviceBuffer>> WeightStore::pack(std::span<const WeightRequest* const> requests,
                                                             DeviceAllocator& device, int threads) {
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return requests[a]->bytes > requests[b]->bytes; });
  const int workers = std::max(threads, 1);
  ScratchPool values(static_cast<std::size_t>(workers)), staging(static_cast<std::size_t>(workers));
  std::vector<std::unique_ptr<DeviceBuffer>> buffers(requests.size());
  parallel_for(order.size(), workers, [&](std::size_t task) {
    const WeightRequest& request = *requests[order[task]];
    ensure(request.bytes > 0, "a weight request is empty");
    std::unique_ptr<DeviceBuffer> buffer = device.allocate(request.bytes);
    if (device.host_visible()) {
      read_and_pack(*file_, request, values, buffer->data());
    } else {
      ScratchPool::Loan host(staging, request.bytes);
      read_and_pack(*file_, request, values, host.data());
      device.upload(buffer->data(), host.data(), request.bytes);
    }
    ++packs_;
    buffers[order[task]] = std::move(buffer);
  });
  return buffers;
}

std::vector<const std::byte*> WeightStore::get(std::span<const WeightRequest> requests, DeviceAllocator& device,
                                               int threads) {
  std::vector<Key> keys;
  keys.reserve(requests.size());
  for (const WeightRequest& request : requests) keys.emplace_back(device.key(), request.tensors, request.format);
  for (;;) {
    {
      Claims claims(*this);
      const std::vector<const WeightRequest*> missing = claims.claim(requests, keys);
      if (!missing.empty()) claims.store(pack(missing, device, threads));
    }
    // Own work is done before waiting for that of others, so two calls never wait for each other.
    std::unique_lock guard(lock_);
    std::vector<const std::byte*> result;
    for (const Key& key : keys) {
      settled_.wait(guard, [&] {
        const auto entry = buffers_.find(key);
        return entry == buffers_.end() || entry->second != nullptr;
      });
      const auto entry = buffers_.find(key);
      if (entry == buffers_.end()) break;  // the other call failed: pack it here
      result.push_back(entry->second->data());
    }
    if (result.size() == keys.size()) return result;
  }
}

WeightStore::Stats WeightStore::stats() const {
  const std::lock_guard guard(lock_);
  Stats stats;
  for (const auto& [key, buffer] : buffers_) {
    if (buffer == nullptr) continue;
    ++stats.buffers;
    stats.bytes += buffer->size();
  }
  stats.packs = packs_;
  return stats;
}

}  // namespace resnet
