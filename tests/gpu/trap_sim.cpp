// For the emulator the host compiler reads the same file.
#include "gpu/trap.cu"
