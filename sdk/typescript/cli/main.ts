#!/usr/bin/env node
import { runCommand } from './program.ts';

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());
process.once('SIGTERM', () => interrupt.abort());
// A reader that has enough (`thermidora events | head`) ends the program quietly.
process.stdout.on('error', () => process.exit(0));
const { stdin, stdout, stderr, env } = process;
process.exitCode = await runCommand(process.argv.slice(2), { stdin, stdout, stderr, env }, interrupt.signal);
