// The door of `npm start`. Plain JavaScript, so that any Node can read it and say what is missing.
const OLDEST = [24, 16];

const [major, minor] = process.versions.node.split('.').map(Number);
const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);

function refuse(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

if (isOld) {
  refuse(
    `This is Node ${process.versions.node}; Thermidora needs ${OLDEST.join('.')} or newer. ` +
      'Run "npm ci", which puts the right one into node_modules, and start with "npm start".',
  );
}

import('./main.ts').catch((error) => {
  const missing = error?.code === 'ERR_MODULE_NOT_FOUND' ? /Cannot find package '([^']+)'/.exec(error.message) : null;
  if (missing) refuse(`The package ${missing[1]} is not installed. Run "npm ci", then "npm start" again.`);
  throw error;
});
