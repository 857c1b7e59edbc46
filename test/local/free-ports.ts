export { freePorts } from '../../runtime/process/free-port.ts';
