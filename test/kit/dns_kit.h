/* test/kit/dns_kit.h: makes queries and reads replies. */
#ifndef TEST_KIT_DNS_KIT_H
#define TEST_KIT_DNS_KIT_H

#include <stdint.h>

#include "base/span.h"

/* A query for name (text) with recursion desired; returns its bytes in buf. */
struct span kit_dns_query(uint8_t buf[600], uint16_t id, const char *name, uint16_t type);
struct kit_dns_reply {
    uint16_t id, flags, answers, authorities, additional;
    int rcode;
    char text[2048]; /* answers in order, "A 1.2.3.4;SRV 5 name;CNAME name;", addresses sorted */
};
void kit_dns_parse(struct span message, struct kit_dns_reply *ret);

#endif
