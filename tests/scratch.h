/* scratch.h — folders for files that tests write. All lie in one folder of the run, which the runner removes at its end, also
   when a test failed or died; tests remove nothing themselves. */
#ifndef SS_TEST_SCRATCH_H
#define SS_TEST_SCRATCH_H

enum { SCRATCH_PATH = 64 };

void scratch_dir(char dir[SCRATCH_PATH]); /* a new, empty folder */
/* No file yet, named `name` (to 20 characters), in a new folder. */
void scratch_file(char path[SCRATCH_PATH], const char *name);
#endif
