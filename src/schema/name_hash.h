/* schema/name_hash.h: where a type's table of names holds a field. The compiler of the tables and
 * the engine must agree, so it is here alone. */
#ifndef SCHEMA_NAME_HASH_H
#define SCHEMA_NAME_HASH_H

#include "base/span.h"

/* Slot of a name that is not empty, in a table of 1 << bits; bits 1 to 31. */
static inline uint32_t schema_name_slot(struct span name, uint32_t seed, unsigned bits)
{
    const unsigned char *p = (const unsigned char *)name.p;
    uint32_t x = (uint32_t)name.n ^ (uint32_t)p[0] << 8 ^ (uint32_t)p[name.n / 2] << 16 ^
                 (uint32_t)p[name.n - 1] << 24;
    return x * seed >> (32 - bits);
}

#endif
