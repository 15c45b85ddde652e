/* sim/chance.c: see chance.h. */
#include "sim/chance.h"

#include "base/check.h"

uint64_t chance_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t chance_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return chance_mix(*state);
}

uint64_t chance_below(uint64_t *state, uint64_t n)
{
    assert(n > 0);
    return chance_next(state) % n;
}
