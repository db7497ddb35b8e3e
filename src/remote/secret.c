/*-------------------------------------------------------------------------
 *
 * secret.c
 *		Reading secrets from files and wiping them from memory.
 *
 * Options ending in _file are set by people who may read the server's files;
 * whoever uses the connection later may not, so nothing of a file's content
 * may reach a message.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "remote/secret.h"

/*
 * O_NONBLOCK keeps a FIFO without a writer, or a device, from hanging the
 * backend before fstat() can refuse it.  Symbolic links are followed: secrets
 * mounted into containers are links.
 */
static int
open_file(const char *option, const char *path)
{
	int fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | PG_BINARY);

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\" named by option \"%s\": %m", path, option),
				 errhint("The file must be readable by the operating system user that PostgreSQL runs as.")));
	return fd;
}

static size_t
check_file(const char *option, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\" named by option \"%s\": %m", path, option)));
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" named by option \"%s\" is not a regular file", path, option)));
	if (st.st_size == 0 || st.st_size > SECRET_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file \"%s\" named by option \"%s\" is %s", path, option,
						st.st_size == 0 ? "empty" : "too large"),
				 errhint("A file of a secret has between 1 and %d bytes.", SECRET_MAX_BYTES)));
	return (size_t) st.st_size;
}

/* Reads at most size bytes: a file that grows meanwhile is cut, not followed. */
static size_t
read_bytes(const char *option, const char *path, int fd, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size)
	{
		ssize_t n = read(fd, buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\" named by option \"%s\": %m", path, option)));
		if (n == 0)
			break;
		done += (size_t) n;
	}
	return done;
}

char *
secret_read_file(const char *option, const char *path, bool trim)
{
	int	   fd = open_file(option, path);
	size_t size = check_file(option, path, fd);
	char  *content = palloc(size + 1);
	size_t len = read_bytes(option, path, fd, content, size);

	CloseTransientFile(fd);
	content[len] = '\0';
	if (strlen(content) != len)
	{
		explicit_bzero(content, len);
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("file \"%s\" named by option \"%s\" is not a text file", path, option)));
	}
	while (trim && len > 0 && (content[len - 1] == '\n' || content[len - 1] == '\r'))
		content[--len] = '\0';
	return content;
}

void
secret_wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
}
