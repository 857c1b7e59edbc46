export { freePorts } from '../../runtime/host/free-port.ts';
