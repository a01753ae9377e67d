/* C interface of resnet-engine. No exception crosses it; every call that can fail returns a status.
 *
 * A status is 0 (RNE_OK) or the number of a resnet::ErrorCode (resnet_engine/error.hpp lists them). The text of the
 * last failure on the calling thread is rne_last_error(). Objects are opaque; models may be used by any number of
 * threads at once, a session by one thread at a time (a second one gets status 2, busy). A null object gives status 1.
 */
#ifndef RESNET_ENGINE_H
#define RESNET_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RNE_API __attribute__((visibility("default")))
#else
#define RNE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RNE_OK 0

typedef int32_t rne_status;
typedef struct rne_model rne_model;
typedef struct rne_session rne_session;

/* Layouts and element types of rne_session_run's input. */
enum { RNE_NHWC = 0, RNE_NCHW = 1 };
enum { RNE_FLOAT32 = 0, RNE_UINT8 = 1 };

/* "<where>: <message>; <next step>" of the last failure on this thread; "" when there was none. Valid until the next
 * failing call on this thread. */
RNE_API const char* rne_last_error(void);

/* Library version, "major.minor.patch". */
RNE_API const char* rne_version(void);

/* Opens a .rne file. On success *model must be given to rne_model_free. */
RNE_API rne_status rne_model_load(const char* path, rne_model** model);
RNE_API void rne_model_free(rne_model* model);

/* Sizes that the network was made for; any pointer may be null. */
RNE_API rne_status rne_model_sizes(const rne_model* model, int64_t* height, int64_t* width, int64_t* channels,
                                   int64_t* output_size);
/* The class name, or "" where the file holds none. Valid as long as the model. Null for an index out of range. */
RNE_API const char* rne_model_label(const rne_model* model, int64_t index);

/* Makes a session. device: "auto", "cpu", "cuda", "cuda:N", "reference". precision: "fp32", "bf16" ... threads: 0 for
 * all physical cores. The model may be freed before the session. */
RNE_API rne_status rne_session_create(const rne_model* model, const char* device, const char* precision,
                                      int32_t threads, rne_session** session);
RNE_API void rne_session_free(rne_session* session);

/* The same with more to choose. Fields keep their defaults where they are null or 0. A field that this version of the
 * library does not know and that is not 0 is refused. */
typedef struct rne_session_options {
  size_t
      struct_size; /* sizeof(rne_session_options): programs and libraries of different versions understand each other */
  const char* device;
  const char* precision;
  int32_t threads;
  int32_t deterministic;             /* not 0: results are also independent of the batch */
  const char* force_implementations; /* names of rne_session_describe separated by commas: taken wherever they can be */
  const char* forbid_implementations; /* never taken */
  int32_t normalize_uint8; /* not 0: RNE_UINT8 inputs are pixels, normalised on the device as the model file says */
  int32_t reserved;        /* 0 */
} rne_session_options;
RNE_API rne_status rne_session_create_with(const rne_model* model, const rne_session_options* options,
                                           rne_session** session);

/* Device, steps, implementations, refusals and memory as JSON (docs/cli.md). Valid until the next call of this function
 * for the session; null on failure. */
RNE_API const char* rne_session_describe(rne_session* session);

/* Runs n pictures of height x width x channels; writes n x output_size floats. Host memory. */
RNE_API rne_status rne_session_run(rne_session* session, const void* input, int32_t dtype, int32_t layout, int64_t n,
                                   int64_t height, int64_t width, float* output);

/* On a GPU: the same for tensors in that GPU's memory, on the caller's stream (a cudaStream_t; null is the legacy
 * default stream). Returns when the work is enqueued; the tensors stay until the stream is past it. */
RNE_API rne_status rne_session_enqueue(rne_session* session, const void* input, int32_t dtype, int32_t layout,
                                       int64_t n, int64_t height, int64_t width, float* output, void* stream);

/* Reads an image file and writes the model's input tensor for it (1 x height x width x channels float32 in `layout`),
 * with the preprocessing that the model file holds. `capacity` is the number of floats that `tensor` has room for. */
RNE_API rne_status rne_preprocess_file(const rne_model* model, const char* path, int32_t layout, float* tensor,
                                       size_t capacity);
/* The same without normalising, for sessions with normalize_uint8. */
RNE_API rne_status rne_preprocess_file_uint8(const rne_model* model, const char* path, int32_t layout, uint8_t* tensor,
                                             size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
