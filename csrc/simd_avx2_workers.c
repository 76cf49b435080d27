#define FA_LOOPS "workers.h"
#include "avx2.h"
