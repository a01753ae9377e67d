/* The C interface from a C compiler: loads argv[1], runs it on zeros, checks statuses; runs argv[2], which holds its
 * preprocessing, on the picture argv[3]. Exit code 0 = all as documented. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resnet_engine/resnet_engine.h"

#define CHECK(condition)                                                                        \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      fprintf(stderr, "line %d: %s (last error: %s)\n", __LINE__, #condition, rne_last_error()); \
      return 1;                                                                                 \
    }                                                                                           \
  } while (0)

/* A picture gives the same answer as floats and as bytes that the session normalises. */
static int check_picture(const char* path, const char* picture) {
  enum { values = 8 * 8 * 3, classes = 4 };
  float floats[values], answers[2][classes];
  uint8_t bytes[values];
  rne_model* model = NULL;
  rne_session* session = NULL;
  rne_session_options options = {0};
  CHECK(rne_model_load(path, &model) == RNE_OK);
  CHECK(rne_preprocess_file(model, picture, RNE_NHWC, floats, values - 1) == 1);
  CHECK(strstr(rne_last_error(), "192 are needed") != NULL);
  CHECK(rne_preprocess_file(model, "no-such-picture", RNE_NHWC, floats, values) == 3);
  CHECK(rne_preprocess_file(model, picture, RNE_NHWC, floats, values) == RNE_OK);
  CHECK(rne_preprocess_file_uint8(model, picture, RNE_NHWC, bytes, values - 1) == 1);
  CHECK(rne_preprocess_file_uint8(model, picture, RNE_NHWC, bytes, values) == RNE_OK);
  options.struct_size = sizeof options;
  options.device = "cpu";
  options.normalize_uint8 = 1;
  CHECK(rne_session_create_with(model, &options, &session) == RNE_OK);
  CHECK(rne_session_run(session, floats, RNE_FLOAT32, RNE_NHWC, 1, 8, 8, answers[0]) == RNE_OK);
  CHECK(rne_session_run(session, bytes, RNE_UINT8, RNE_NHWC, 1, 8, 8, answers[1]) == RNE_OK);
  CHECK(answers[0][0] > 1 && memcmp(answers[0], answers[1], sizeof answers[0]) == 0);
  rne_session_free(session);
  rne_model_free(model);
  return 0;
}

int main(int argc, char** argv) {
  rne_model* model = NULL;
  rne_session* session = NULL;
  int64_t height = 0, width = 0, channels = 0, outputs = 0;
  float *input, *output;
  rne_session_options options = {0};
  CHECK(argc == 4);
  CHECK(strcmp(rne_last_error(), "") == 0);
  CHECK(rne_model_load("does-not-exist.rne", &model) == 3 && model == NULL);
  CHECK(strstr(rne_last_error(), "does-not-exist.rne") != NULL);
  CHECK(rne_model_load(NULL, &model) == 1);
  CHECK(rne_model_load(argv[1], &model) == RNE_OK);
  CHECK(rne_model_sizes(model, &height, &width, &channels, &outputs) == RNE_OK);
  CHECK(rne_model_sizes(NULL, &height, NULL, NULL, NULL) == 1);
  CHECK(height > 0 && width > 0 && channels == 3 && outputs == 10);
  CHECK(rne_model_label(model, 10) == NULL && rne_model_label(model, -1) == NULL && rne_model_label(NULL, 0) == NULL);
  CHECK(strcmp(rne_model_label(model, 9), "") == 0);
  CHECK(rne_session_create(model, "no-such-device", NULL, 0, &session) == 1 && session == NULL);
  CHECK(rne_session_create(model, "cpu", "fp32", 1, &session) == RNE_OK);
  rne_model_free(model); /* the session keeps what it needs */
  CHECK(rne_model_load(argv[1], &model) == RNE_OK);
  input = calloc((size_t)(2 * height * width * channels), sizeof(float));
  output = malloc((size_t)(2 * outputs) * sizeof(float));
  CHECK(input != NULL && output != NULL);
  CHECK(rne_session_run(session, input, RNE_FLOAT32, RNE_NCHW, 2, height, width, output) == RNE_OK);
  CHECK(memcmp(output, output + outputs, (size_t)outputs * sizeof(float)) == 0);
  CHECK(rne_session_run(session, input, 7, RNE_NCHW, 2, height, width, output) == 1);
  CHECK(rne_session_run(session, input, RNE_FLOAT32, 7, 2, height, width, output) == 1);
  CHECK(rne_session_run(session, NULL, RNE_FLOAT32, RNE_NCHW, 2, height, width, output) == 1);
  CHECK(rne_session_run(NULL, input, RNE_FLOAT32, RNE_NCHW, 2, height, width, output) == 1);
  CHECK(rne_session_enqueue(session, input, RNE_FLOAT32, RNE_NCHW, 2, height, width, output, NULL) != RNE_OK);
  CHECK(strstr(rne_last_error(), "no streams") != NULL);
  CHECK(strstr(rne_session_describe(session), "\"implementation\"") != NULL);
  CHECK(rne_session_describe(NULL) == NULL);
  rne_session_free(session);
  options.struct_size = 1;
  session = NULL;
  CHECK(rne_session_create_with(model, &options, &session) == 1 && session == NULL);
  options.struct_size = offsetof(rne_session_options, force_implementations); /* an older program's */
  options.device = "reference";
  options.force_implementations = "no such implementation";
  CHECK(rne_session_create_with(model, &options, &session) == RNE_OK);
  rne_session_free(session);
  options.struct_size = sizeof options;
  session = NULL;
  {
    struct {
      rne_session_options known;
      int64_t later;
    } newer = {{0}, 0};
    newer.known.struct_size = sizeof newer;
    newer.known.device = "reference";
    CHECK(rne_session_create_with(model, &newer.known, &session) == RNE_OK);
    rne_session_free(session);
    session = NULL;
    newer.later = 1;
    CHECK(rne_session_create_with(model, &newer.known, &session) == 1 && session == NULL);
    CHECK(strstr(rne_last_error(), "does not know") != NULL);
  }
  CHECK(rne_session_create_with(model, &options, &session) == 1 && session == NULL);
  CHECK(strstr(rne_last_error(), "no such implementation") != NULL);
  options.struct_size = sizeof options;
  options.force_implementations = NULL;
  options.normalize_uint8 = 1;
  CHECK(rne_session_create_with(model, &options, &session) != RNE_OK && session == NULL);
  CHECK(strstr(rne_last_error(), "no preprocessing") != NULL);
  rne_model_free(model);
  CHECK(check_picture(argv[2], argv[3]) == 0);
  rne_session_free(NULL);
  rne_model_free(NULL);
  free(input);
  free(output);
  printf("%s\n", rne_version());
  return 0;
}
