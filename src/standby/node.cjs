"use strict";
// Runs jsii's kernel (argv[2]) in this one process and keeps what it learns in a folder (argv[3]).
//
// jsii's own launcher starts a second node and carries every message between the two, over the
// kernel's descriptor 3. Here the channel is standard input and output, and what the library
// prints goes to standard error.

const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const threads = require("node:worker_threads");

const CHANNEL = 3;
const LIBRARY = "aws-cdk-lib";
// Loaded by runs that check what they made. They need so much of the library that others, which
// would recall it all, would be slower for it.
const OCCASIONAL = /[\\/](cdk-nag|cloudformation-validate)[\\/]/;
const INDEXING = `
  const { script, ended } = require("node:worker_threads").workerData;
  try {
    require(script);
  } finally {
    Atomics.store(ended, 0, 1);
    Atomics.notify(ended, 0);
  }
`;
const PATIENCE = 4000; // milliseconds, fewer than the caller has
const [kernel, memory] = process.argv.slice(2);
const { existsSync, mkdtempSync, readSync, writeSync } = fs; // the library wraps some
const note = memory && path.join(memory, "modules.json");
const last = recollection();
const homes = { ...last.homes }; // of packages, by name
let packages; // where the kernel puts links to them

fs.mkdtempSync = (prefix, ...rest) => {
  const folder = mkdtempSync(prefix, ...rest);
  if (path.basename(prefix) === "jsii-kernel-") packages = path.join(folder, "node_modules");
  return folder;
};

const held = fs.openSync("/dev/null"); // or a file opened later could get the channel's number
if (held !== CHANNEL) fs.closeSync(held);
fs.readSync = (fd, ...rest) => readSync(fd === CHANNEL ? 0 : fd, ...rest);
fs.writeSync = (fd, data, ...rest) => {
  if (fd !== CHANNEL) return writeSync(fd, data, ...rest);
  try {
    return writeSync(1, data, ...rest);
  } catch (error) {
    if (error.code === "EPIPE") process.exit(); // Python has ended: there is nobody to tell
    throw error;
  }
};

process.stdout.write = process.stderr.write.bind(process.stderr);

// The packages are links into jsii's cache. Node follows them, so that a module has the same name
// in every run, as the compile cache needs; what a package imports of the others is found beside
// its link and nowhere else. This option makes the kernel link rather than copy.
process.execArgv.push("--preserve-symlinks");
let resolving = false;
Module.registerHooks({
  resolve(specifier, context, next) {
    const name = /^(@[^/]+\/)?[^./@][^/]*/.exec(specifier)?.[0];
    const home = name && (packages ? path.join(packages, name) : homes[name]);
    if (resolving || !home || !existsSync(home)) return next(specifier, context);
    resolving = true;
    try {
      homes[name] = fs.realpathSync(home);
      const file = require.resolve(path.join(homes[name], specifier.slice(name.length)));
      return { url: pathToFileURL(fs.realpathSync(file)).href, shortCircuit: true };
    } finally {
      resolving = false;
    }
  },
});

// The kernel's thread that indexes a package's types, so that later runs need not read them all. It
// is looked for by a name that the Python package does not give it, and would end with this process,
// which is often done sooner.
threads.Worker = class extends threads.Worker {
  constructor(file, { workerData, ...options }) {
    const script = existsSync(file) ? file : path.join(path.dirname(kernel), `lib__${path.basename(file)}`);
    const ended = new Int32Array(new SharedArrayBuffer(4));
    super(INDEXING, { ...options, eval: true, workerData: { ...workerData, script, ended } });
    // First of all: the kernel then removes the links to its packages.
    process.prependOnceListener("exit", () => Atomics.wait(ended, 0, 0, PATIENCE));
  }
};

/** Read what the last run noted: where its packages were, and what it loaded of the library. */
function recollection() {
  const nothing = { homes: {}, modules: [] }; // a slower run, not a wrong one
  try {
    return { ...nothing, ...JSON.parse(fs.readFileSync(note, "utf8")) };
  } catch {
    return nothing;
  }
}

/** Load what the last run did, while Python is still importing. */
function recall() {
  try {
    last.modules.forEach((module) => require(module));
  } catch {
    last.modules = []; // the packages have gone or changed since
  }
}

/** Note what this run loaded, if that is more, for the next one. */
function remember() {
  const loaded = Object.keys(require.cache);
  const modules = loaded.filter((name) => name.startsWith(homes[LIBRARY] + path.sep));
  const known = new Set(last.modules);
  if (loaded.some((name) => OCCASIONAL.test(name)) || modules.every((name) => known.has(name))) return;
  const fresh = `${note}.${process.pid}`;
  try {
    fs.writeFileSync(fresh, JSON.stringify({ homes, modules }));
    fs.renameSync(fresh, note);
  } catch {
    fs.rmSync(fresh, { force: true }); // no room to remember: the next run is slower, not wrong
  }
}

if (memory) {
  Module.enableCompileCache(memory);
  recall();
  process.once("exit", remember);
}
require(kernel);
