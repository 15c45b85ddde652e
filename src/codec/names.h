/* codec/names.h: the syntax of names, label keys and values, ports and addresses, with Kubernetes'
 * words for what is wrong. */
#ifndef CODEC_NAMES_H
#define CODEC_NAMES_H

#include "base/span.h"

/* Messages of one check: at most a length and a syntax complaint. */
enum { NAMES_MESSAGES_MAX = 4 };
struct names_fault {
    const char *text[NAMES_MESSAGES_MAX]; /* literals */
    size_t n;                             /* 0: the name is fine */
};

/* RFC 1123 label ("redis-0"), at most 63 bytes. */
struct names_fault names_dns_label(struct span s);
/* RFC 1035 label: starts with a letter. */
struct names_fault names_dns_label_1035(struct span s);
/* RFC 1123 subdomain, at most 253 bytes. */
struct names_fault names_dns_subdomain(struct span s);
/* Label and annotation keys: "name" or "example.com/name". */
struct names_fault names_qualified(struct span s);
/* Of a resource that is measured: is it Kubernetes' own, without a domain or with that? */
bool names_native_resource(struct span s);
/* A finalizer has a domain, or is one of the API's own. */
bool names_finalizer_known(struct span s);
struct names_fault names_label_value(struct span s);
/* Keys of configuration maps and secrets. */
struct names_fault names_config_key(struct span s);
/* Environment variables: printable ASCII without '='. */
struct names_fault names_env(struct span s);
/* Port names: at most 15 bytes, letters, digits and single hyphens, one letter at least. */
struct names_fault names_port(struct span s);
/* An IPv4 or IPv6 address in text form. */
bool names_is_ip(struct span s);
/* Its bytes; of an IPv4 address behind ::ffff. False: it is none. */
bool names_ip_bytes(struct span s, unsigned char ret[16]);

#endif
