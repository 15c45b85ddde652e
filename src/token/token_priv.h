/* token/token_priv.h: what the files of this folder tell each other. */
#ifndef TOKEN_TOKEN_PRIV_H
#define TOKEN_TOKEN_PRIV_H

#include "token/token.h"

enum { TOKEN_SIGNATURE_BYTES = 64 };

struct span token_key_id(const struct token_key *k);
bool token_key_sign(const struct token_key *k, struct span text, char ret[TOKEN_SIGNATURE_BYTES]);
bool token_key_verify(const struct token_key *k, struct span text, struct span signature);

#endif
