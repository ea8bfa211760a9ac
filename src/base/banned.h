/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that do not compile here: each has cost somebody a CVE. Included by base.h. */
#ifndef WR_BANNED_H
#define WR_BANNED_H

#define WR_BANNED(f) banned_##f##_see_src_base_banned_h

#undef strcpy
#define strcpy(...) WR_BANNED(strcpy)
#undef strcat
#define strcat(...) WR_BANNED(strcat)
#undef strncpy
#define strncpy(...) WR_BANNED(strncpy)
#undef strncat
#define strncat(...) WR_BANNED(strncat)
#undef sprintf
#define sprintf(...) WR_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) WR_BANNED(vsprintf)
#undef strtok
#define strtok(...) WR_BANNED(strtok)
#undef atoi
#define atoi(...) WR_BANNED(atoi)
#undef atol
#define atol(...) WR_BANNED(atol)
#undef alloca
#define alloca(...) WR_BANNED(alloca)

#endif
