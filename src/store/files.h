/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the embedded engine: DIR/FAMILY-YYYYMMDDTHHMMSSZ.db, each holds the blocks from its time on
 * until the next one of its family begins. To remove what is old is to remove a file.
 */
#ifndef WR_FILES_H
#define WR_FILES_H

#include "../base/base.h"

enum wr_family {
	WR_RAW,
	WR_LONG,
	WR_FAMILIES
}; /* records; what stays longer: sums of minutes and hours, alerts */

struct wr_file {
	char path[4200];
	enum wr_family family;
	uint64_t begun, bytes; /* UTC ns; with its journal */
};

/* Those of a folder, by family and time; their number or -errno. The caller frees *@ret. */
int wr_files_list(const char *dir, struct wr_file **ret);
/* The name of one that begins at @begun (whole seconds). */
void wr_file_name(const char *dir, enum wr_family f, uint64_t begun, struct wr_file *ret);
/* Removes it and its journal. */
void wr_file_remove(const char *path);
/* Puts it aside as PATH.damaged. */
void wr_file_aside(const char *path);

#endif
