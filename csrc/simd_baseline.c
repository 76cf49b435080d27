#define FA_LOOPS "kernels.h"
#include "baseline.h"
