/* sim/chance.h: the dice of a simulation: splitmix64, small, and the same on every machine. */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdint.h>

/* A number that hardly looks like it. */
uint64_t chance_mix(uint64_t z);
/* The next of a sequence. */
uint64_t chance_next(uint64_t *state);
/* 0 to n - 1; n is not 0. */
uint64_t chance_below(uint64_t *state, uint64_t n);

#endif
