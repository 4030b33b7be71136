'use strict';
/* Action proxy for Node.js: one HTTP server on port 8080 with POST /init and POST /run.
 *
 * No dependencies. The action runs in this process; with __OW_ALLOW_CONCURRENT=true several /run may
 * be under way at once (an action then shares its environment and its log among them). */

const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { createRequire } = require('module');
const { pathToFileURL } = require('url');
const vm = require('vm');
const zlib = require('zlib');

const SENTINEL = 'XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n';
const MAX_BODY = 160 * 1024 * 1024; // 48 MiB of code as base64 inside JSON, with room to spare
const NOT_AN_OBJECT = 'The action did not return a dictionary or array.';

class HttpError extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

/* ---- logs ---- */

/* Remembers whether the stream's last line is still open: the sentinel must stand on a line of its
 * own, or the user's last words would be dropped with it. */
function trackLines(stream) {
    const write = stream.write.bind(stream);
    const state = { write, open: false };

    stream.write = (chunk, ...rest) => {
        if (chunk && chunk.length > 0) {
            const last = chunk[chunk.length - 1];
            state.open = last !== '\n' && last !== 10;
        }
        return write(chunk, ...rest);
    };
    return state;
}

const logs = [trackLines(process.stdout), trackLines(process.stderr)];

/* Resolves when both sentinels were handed to the system. */
function endOfActivation() {
    return Promise.all(logs.map((log) => new Promise((resolve) => {
        const text = (log.open ? '\n' : '') + SENTINEL;
        log.open = false;
        log.write(text, resolve);
    })));
}

/* ---- the action's code ---- */

/* "module.function" in a zip names a file; otherwise the whole text is the function. */
function splitMain(main) {
    const dot = main.indexOf('.');
    return dot > 0 ? [main.slice(0, dot), main.slice(dot + 1)] : [undefined, main];
}

function member(object, dotted) {
    return dotted.split('.').reduce((o, name) => (o === undefined || o === null ? undefined : o[name]), object);
}

function assertFunction(f, main) {
    if (typeof f !== 'function')
        throw `Action entrypoint '${main}' is not a function.`;
    return f;
}

/* The entry point may be a top-level name of the text or an export of it. */
function loadText(code, main) {
    if (!/^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*$/.test(main))
        throw `Name of main function is not valid: '${main}'.`;
    const first = main.split('.')[0];
    const file = path.join(process.cwd(), 'action.js');
    const module = { exports: {}, filename: file, id: file, children: [], paths: [] };
    const names = ['exports', 'require', 'module', '__filename', '__dirname'];
    const options = {
        filename: file,
        importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER ?? ((s) => import(s)),
    };
    vm.compileFunction(code, names, options); /* so that a syntax error shows the user's text alone */
    const fn = vm.compileFunction(
        `${code}\n;return typeof ${first} !== 'undefined' ? ${main} : undefined;`, names, options);
    const named = fn.call(module.exports, module.exports, createRequire(file), module, file, path.dirname(file));
    return assertFunction(named !== undefined ? named : member(module.exports, main), main);
}

async function loadArchive(code, main) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'action-'));
    const archive = Buffer.from(code, 'base64');

    if (archive.readUInt32LE === undefined || archive.length < 4)
        throw 'There was an error uncompressing the action archive.';
    if (archive[0] === 0x1f && archive[1] === 0x8b)
        require('child_process').execFileSync('tar', ['-xzf', '-', '-C', dir], { input: archive });
    else
        unzip(archive, dir);
    process.chdir(dir);

    const [file, name] = splitMain(main);
    if (file === undefined && !fs.existsSync('package.json') && !fs.existsSync('index.js'))
        throw 'Zipped actions must contain either package.json or index.js at the root.';
    const target = file === undefined ? dir : path.join(dir, file);
    let exported;
    try {
        exported = require(target);
    } catch (error) {
        if (error.code !== 'ERR_REQUIRE_ESM')
            throw error;
        exported = await import(pathToFileURL(require.resolve(target)));
    }
    return assertFunction(member(exported, name), main);
}

/* ---- zip: only what zip tools write today (stored and deflated entries, no zip64) ---- */

function* zipEntries(zip) {
    const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
    if (end < 0 || end + 22 > zip.length)
        throw 'There was an error uncompressing the action Zip archive.';
    let at = zip.readUInt32LE(end + 16);
    for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
        if (zip.readUInt32LE(at) !== 0x02014b50)
            throw 'There was an error uncompressing the action Zip archive.';
        const nameLength = zip.readUInt16LE(at + 28);
        const start = zip.readUInt32LE(at + 42);
        const data = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28);
        yield {
            name: zip.toString('utf8', at + 46, at + 46 + nameLength),
            method: zip.readUInt16LE(at + 10),
            mode: zip.readUInt16LE(at + 40),
            data: zip.subarray(data, data + zip.readUInt32LE(at + 20)),
        };
        at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    }
}

function zipContent(entry) {
    if (entry.method === 0)
        return entry.data;
    if (entry.method === 8)
        return zlib.inflateRawSync(entry.data);
    throw `Zip method ${entry.method} of ${entry.name} is not supported.`;
}

function unzip(zip, dir) {
    const inside = (p) => p === dir || p.startsWith(dir + path.sep);

    for (const entry of zipEntries(zip)) {
        const target = path.resolve(dir, entry.name);
        if (!inside(target))
            throw `Zip entry ${entry.name} is outside of the archive.`;
        if (entry.name.endsWith('/')) {
            fs.mkdirSync(target, { recursive: true });
            continue;
        }
        fs.mkdirSync(path.dirname(target), { recursive: true });
        if ((entry.mode & 0xf000) === 0xa000) {
            const link = zipContent(entry).toString();
            if (inside(path.resolve(path.dirname(target), link)))
                fs.symlinkSync(link, target);
        } else {
            fs.writeFileSync(target, zipContent(entry), { mode: (entry.mode & 0o777) || 0o644 });
        }
    }
}

/* ---- the two requests ---- */

const concurrent = (process.env.__OW_ALLOW_CONCURRENT || '').toLowerCase() === 'true';
let action; /* the user's function */
let status = 'ready'; /* starting, running, stopped */

function setEnv(key, value) {
    if (value === null || value === undefined)
        value = '';
    try {
        process.env[key] = typeof value === 'string' ? value : JSON.stringify(value);
    } catch (error) {
        console.error(`environment variable ${key} cannot be set: ${error.message}`);
    }
}

async function init(message) {
    const value = message.value || {};

    if (action !== undefined || status !== 'ready') {
        const text = action !== undefined ? 'Cannot initialize the action more than once.'
            : `System not ready, status is ${status}.`;
        console.error('Internal system error:', text);
        throw new HttpError(403, text);
    }
    if (typeof value.code !== 'string' || !value.code || typeof (value.main || 'main') !== 'string')
        throw new HttpError(403, 'Missing main/no code to execute.');
    status = 'starting';
    for (const [key, item] of Object.entries(typeof value.env === 'object' && value.env || {}))
        setEnv(key, item);
    try {
        const main = value.main || 'main';
        action = value.binary === true ? await loadArchive(value.code, main) : loadText(value.code, main);
        status = 'ready';
        return '{"OK":true}';
    } catch (error) {
        status = 'stopped';
        console.error('Error during initialization:', error);
        await endOfActivation();
        throw new HttpError(502, `Initialization has failed due to: ${error && error.stack || error}`);
    }
}

/* What a rejected promise becomes: errors lose their fields in JSON unless spelled out. */
function plainError(error) {
    if (error === undefined || error === null)
        return {};
    if (error instanceof Error)
        return { name: error.name, message: error.message, stack: error.stack, ...error };
    return error;
}

/* A throw is a failed activation; a rejected promise is a result with an error in it. */
async function call(value) {
    let result;

    try {
        result = action(value);
    } catch (error) {
        console.error(error);
        await endOfActivation();
        status = 'stopped';
        throw new HttpError(502, `An error has occurred: ${error}`);
    }
    try {
        result = await result;
    } catch (error) {
        result = { error: plainError(error) };
    }
    return result === undefined ? {} : result;
}

function encodeResult(result) {
    let text;

    if (typeof result === 'object' && result !== null) {
        try {
            text = JSON.stringify(result);
        } catch (error) {
            console.error(`Result cannot be written as JSON: ${error.message}`);
        }
    } else {
        console.error(`Result must be of type object but has type "${typeof result}":`, result);
    }
    return text;
}

async function run(message) {
    if (action === undefined || status !== 'ready') {
        const text = action !== undefined ? `System not ready, status is ${status}.` : 'System not initialized.';
        console.error('Internal system error:', text);
        throw new HttpError(403, text);
    }
    const value = message.value === null || message.value === undefined ? {} : message.value;
    if (typeof value !== 'object')
        throw new HttpError(403, `The argument must be a dictionary or array but has type '${typeof value}'.`);
    if (!concurrent)
        status = 'running';
    for (const [key, item] of Object.entries(message)) {
        if (key !== 'value')
            setEnv('__OW_' + key.toUpperCase(), item);
    }
    const text = encodeResult(await call(value));
    await endOfActivation();
    if (status === 'running')
        status = 'ready';
    if (text === undefined)
        throw new HttpError(502, NOT_AN_OBJECT);
    return text;
}

/* ---- HTTP ---- */

function readBody(request) {
    return new Promise((resolve, reject) => {
        const chunks = [];
        let size = 0;
        request.on('data', (chunk) => {
            size += chunk.length;
            if (size > MAX_BODY)
                reject(new HttpError(413, `the request is larger than ${MAX_BODY} bytes`));
            else
                chunks.push(chunk);
        });
        request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
        request.on('error', reject);
    });
}

async function dispatch(request) {
    const route = { '/init': init, '/run': run }[request.url.split('?')[0]];
    if (route === undefined)
        throw new HttpError(404, 'there are only /init and /run');
    if (request.method !== 'POST')
        throw new HttpError(405, `${request.url} takes POST`);
    const text = await readBody(request);
    let message;
    try {
        message = JSON.parse(text || '{}');
    } catch (error) {
        throw new HttpError(400, `the request is not JSON: ${error.message}`);
    }
    if (typeof message !== 'object' || message === null || Array.isArray(message))
        throw new HttpError(400, 'the request is not a JSON object');
    return route(message);
}

function answer(response, code, text) {
    const body = Buffer.from(text, 'utf8');
    response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': body.length });
    response.end(body);
}

const server = http.createServer((request, response) => {
    dispatch(request).then(
        (text) => answer(response, 200, text),
        (error) => answer(response, error.status || 500, JSON.stringify({ error: String(error.message) })));
});

/* An action may run for minutes and a kept connection may rest as long: the invoker decides. */
server.timeout = 0;
server.requestTimeout = 0;
server.keepAliveTimeout = 0;
server.headersTimeout = 0;
process.on('SIGTERM', () => process.exit(0)); /* as process 1 there is no default action */
server.listen(Number(process.env.CW_PROXY_PORT || 8080), process.env.CW_PROXY_HOST || '0.0.0.0', 1024);
