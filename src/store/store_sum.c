/* CRC-32 as zlib has it, by carry-less multiplication where the processor can (nearly all x86 since
 * 2010): checking the log at the start takes a tenth of the time. The method is that of Gopal and
 * others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ": four lanes of 128 bits
 * are folded over the text, then into one, then reduced. */
#include <zlib.h>

#include "base/check.h"
#include "store/store_priv.h"

enum { STEP = 16, BLOCK = 64 };

#if defined(__x86_64__)
#include <immintrin.h>

#define FAST __attribute__((target("pclmul,sse4.1")))

/* Powers of x modulo the polynomial, bits reversed: distances of 64 and of 16 bytes, the last step,
 * and the polynomial with its inverse. */
static const uint64_t by_64[2] = {0x0154442bd4, 0x01c6e41596};
static const uint64_t by_16[2] = {0x01751997d0, 0x00ccaa009e};
static const uint64_t by_8[2] = {0x0163cd6124, 0};
static const uint64_t modulus[2] = {0x01db710641, 0x01f7011641};

FAST static __m128i load(const void *p)
{
    return _mm_loadu_si128(p);
}

FAST static __m128i fold(__m128i x, __m128i k, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, k, 0x00), high = _mm_clmulepi64_si128(x, k, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

FAST static uint32_t reduce(__m128i x, __m128i k)
{
    const __m128i low32 = _mm_setr_epi32(-1, 0, -1, 0), m = load(modulus);
    __m128i y = _mm_clmulepi64_si128(x, k, 0x10);
    x = _mm_xor_si128(_mm_srli_si128(x, 8), y);
    y = _mm_srli_si128(x, 4);
    x = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(x, low32), load(by_8), 0x00), y);
    y = _mm_clmulepi64_si128(_mm_and_si128(x, low32), m, 0x10);
    y = _mm_clmulepi64_si128(_mm_and_si128(y, low32), m, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x, y), 1);
}

/* n: a multiple of 16, which is not 0. */
FAST static uint32_t fast_sum(uint32_t sum, const char *p, size_t n)
{
    __m128i k = load(by_16), x = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)~sum));
    assert(n >= STEP);
    assert(n % STEP == 0);
    if (n >= BLOCK) {
        const __m128i far = load(by_64);
        /* No array: it would lie in memory, and each round wait for what the last one stored. */
        __m128i x1 = load(p + STEP), x2 = load(p + 2 * STEP), x3 = load(p + 3 * STEP);
        for (p += BLOCK, n -= BLOCK; n >= BLOCK; p += BLOCK, n -= BLOCK) {
            x = fold(x, far, load(p));
            x1 = fold(x1, far, load(p + STEP));
            x2 = fold(x2, far, load(p + 2 * STEP));
            x3 = fold(x3, far, load(p + 3 * STEP));
        }
        x = fold(x, k, x1);
        x = fold(x, k, x2);
        x = fold(x, k, x3);
    } else {
        p += STEP;
        n -= STEP;
    }
    for (; n >= STEP; p += STEP, n -= STEP) {
        x = fold(x, k, load(p));
    }
    return ~reduce(x, k);
}

static bool is_fast(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static uint32_t fast_sum(uint32_t sum, const char *p, size_t n)
{
    return (uint32_t)crc32(sum, (const Bytef *)p, (uInt)n);
}

static bool is_fast(void)
{
    return false;
}
#endif

uint32_t store_sum(uint32_t sum, struct span bytes)
{
    if (bytes.n >= STEP && is_fast()) {
        size_t n = bytes.n & ~(size_t)(STEP - 1);
        sum = fast_sum(sum, bytes.p, n);
        bytes = span_from(bytes, n);
    }
    assert(bytes.n <= UINT32_MAX);
    return bytes.n ? (uint32_t)crc32(sum, (const Bytef *)bytes.p, (uInt)bytes.n) : sum;
}
