/* A library with the few functions that loading asks, answering as the macros say: a stand-in for cuDNN, its parts and
   cuBLASLt. */
#include <stddef.h>

#ifdef FAKE_CUDNN
size_t cudnnGetVersion(void) { return FAKE_CUDNN; }
size_t cudnnGetCudartVersion(void) { return FAKE_CUDA; }
int cudnnGraphVersionCheck(void) { return FAKE_CHECK; }
#endif
#ifdef FAKE_CUBLASLT
size_t cublasLtGetVersion(void) { return FAKE_CUBLASLT; }
#endif
#ifdef FAKE_BROKEN
extern int a_function_that_nobody_has(void);
int resnet_fake_broken(void) { return a_function_that_nobody_has(); }
#endif

int resnet_fake_library = 1;
