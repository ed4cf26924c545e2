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

const CHANNEL = 3;
const LIBRARY = "aws-cdk-lib";
// Loaded by runs that check what they made. They need so much of the library that others, which
// would recall it all, would be slower for it.
const OCCASIONAL = /[\\/](cdk-nag|cloudformation-validate)[\\/]/;
const [kernel, memory] = process.argv.slice(2);
const { existsSync, mkdtempSync, readSync, writeSync } = fs; // the library wraps some
let packages; // where the kernel puts links to the packages it loads
let loaded = false; // whether the library is among them

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
  const written = answer(data, ...rest);
  if (!loaded && data.includes(`"assembly":"${LIBRARY}"`)) {
    loaded = true;
    if (memory) recall(fs.realpathSync(path.join(packages, LIBRARY)));
  }
  return written;
};

function answer(...data) {
  try {
    return writeSync(1, ...data);
  } catch (error) {
    if (error.code === "EPIPE") process.exit(); // Python has ended: there is nobody to tell
    throw error;
  }
}

process.stdout.write = process.stderr.write.bind(process.stderr);

// The packages are links into jsii's cache. Node follows them, so that a module has the same name
// in every run, as the compile cache needs; what a package imports of the others is found beside
// its link and nowhere else. This option makes the kernel link rather than copy.
process.execArgv.push("--preserve-symlinks");
let resolving = false;
Module.registerHooks({
  resolve(specifier, context, next) {
    const name = /^(@[^/]+\/)?[^./@][^/]*/.exec(specifier)?.[0];
    if (resolving || !name || !packages || !existsSync(path.join(packages, name)))
      return next(specifier, context);
    resolving = true;
    try {
      const file = require.resolve(specifier, { paths: [path.dirname(packages)] });
      return { url: pathToFileURL(fs.realpathSync(file)).href, shortCircuit: true };
    } finally {
      resolving = false;
    }
  },
});

/** Load what the last run needed, while Python is still importing, and note what this one does. */
function recall(library) {
  const note = path.join(memory, "modules.json");
  let names = [];
  try {
    const last = JSON.parse(fs.readFileSync(note, "utf8"));
    if (last.library === library) names = last.names;
  } catch {
    names = []; // nothing noted yet: a slower run, not a wrong one
  }
  for (const name of names) require(path.join(library, name));
  process.once("exit", () => {
    const used = Object.keys(require.cache).filter((name) => name.startsWith(library + path.sep));
    const occasional = Object.keys(require.cache).some((name) => OCCASIONAL.test(name));
    if (occasional || used.length === names.length) return;
    const fresh = `${note}.${process.pid}`;
    const text = JSON.stringify({ library, names: used.map((name) => path.relative(library, name)) });
    fs.writeFileSync(fresh, text);
    fs.renameSync(fresh, note);
  });
}

if (memory) Module.enableCompileCache(memory);
require(kernel);
