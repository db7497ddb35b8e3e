// A receiver of webhooks that believes nobody but the published libraries:
// every request is verified with standardwebhooks and with svix.
//
//   node verify.cjs SECRET DIRECTORY-OF-NODE-MODULES
//
// Prints its port.  GET /count answers {"accepted", "refused", "last_error"}.
const http = require('http');
const path = require('path');

const [secret, modules] = process.argv.slice(2);
const load = name => require(path.join(modules, 'node_modules', name));
const verifiers = [new (load('standardwebhooks').Webhook)(secret), new (load('svix').Webhook)(secret)];
const count = { accepted: 0, refused: 0, last_error: null };

function verify(body, headers) {
	for (const verifier of verifiers) verifier.verify(body, headers);
	if (JSON.parse(body).id !== headers['webhook-id']) throw new Error('another id in the body');
}

const server = http.createServer((request, response) => {
	const chunks = [];
	request.on('data', chunk => chunks.push(chunk));
	request.on('end', () => {
		if (request.url === '/count') return response.end(JSON.stringify(count));
		try {
			verify(Buffer.concat(chunks).toString('utf8'), request.headers);
			count.accepted++;
			response.writeHead(204).end();
		} catch (error) {
			count.refused++;
			count.last_error = String(error);
			response.writeHead(400).end(String(error));
		}
	});
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
