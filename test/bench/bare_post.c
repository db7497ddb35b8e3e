/*-------------------------------------------------------------------------
 *
 * bare_post.c
 *		How fast a client sends that does nothing else: what deliveries are held
 *		against.
 *
 *	bare_post URL REQUESTS BODY
 *
 * libcurl over kept connections, 32 requests in flight, nothing signed and
 * nothing kept.  Prints requests a second.
 *
 *-------------------------------------------------------------------------
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define IN_FLIGHT 32

static const char *url;
static const char *body;
static long		   left;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static size_t
ignore(char *data, size_t one, size_t len, void *arg)
{
	return len;
}

/* One more request on a handle; each says an id of its own, as deliveries do. */
static void
send_one(CURLM *multi, CURL *easy, struct curl_slist **headers)
{
	char id[80];

	snprintf(id, sizeof(id), "webhook-id: 00000000-0000-7000-8000-%012ld", left--);
	curl_slist_free_all(*headers);
	*headers = curl_slist_append(NULL, id);
	*headers = curl_slist_append(*headers, "content-type: application/json");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
	curl_multi_add_handle(multi, easy);
}

static CURL *
new_handle(struct curl_slist **headers)
{
	CURL *easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, headers);
	return easy;
}

/* Returns how many ended. */
static long
reap(CURLM *multi)
{
	long	 ended = 0;
	int		 rest;
	CURLMsg *message;

	while ((message = curl_multi_info_read(multi, &rest)) != NULL)
	{
		CURL			   *easy = message->easy_handle;
		struct curl_slist **headers;

		if (message->data.result != CURLE_OK)
		{
			fprintf(stderr, "bare_post: %s\n", curl_easy_strerror(message->data.result));
			exit(1);
		}
		ended++;
		curl_multi_remove_handle(multi, easy);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &headers);
		if (left > 0)
			send_one(multi, easy, headers);
	}
	return ended;
}

int
main(int argc, char **argv)
{
	struct curl_slist *headers[IN_FLIGHT] = {NULL};
	CURLM			  *multi;
	long			   all;
	long			   ended = 0;
	double			   started;
	int				   running;

	if (argc != 4)
		return 2;
	url = argv[1];
	left = all = atol(argv[2]);
	body = argv[3];
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	started = now();
	for (int i = 0; i < IN_FLIGHT && left > 0; i++)
		send_one(multi, new_handle(&headers[i]), &headers[i]);
	while (ended < all)
	{
		curl_multi_perform(multi, &running);
		ended += reap(multi);
		curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	printf("%.0f\n", (double) all / (now() - started));
	return 0;
}
