#define FA_LOOPS "kernels.h"
#include "avx2.h"
