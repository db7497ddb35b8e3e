/*-------------------------------------------------------------------------
 *
 * replay.c
 *		Runs a fuzz target over files instead of a fuzzer's inventions, one
 *		test each, so that what was once found stays fixed.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
	FILE	*file = fopen(path, "rb");
	uint8_t *data;
	long	 size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		return 1;
	rewind(file);
	data = malloc(size > 0 ? (size_t) size : 1);
	if (data == NULL || fread(data, 1, (size_t) size, file) != (size_t) size)
		return 1;
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t) size);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
	{
		int bad = replay(argv[i]);

		printf("%sok %d - %s\n", bad ? "not " : "", i, argv[i]);
		fflush(stdout);
		failed += bad;
	}
	printf("1..%d\n", argc - 1);
	return failed != 0;
}
