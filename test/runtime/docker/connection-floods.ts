/** Programs for `node -e` in a container, without a single quote. Their arguments: host, port, how many. */

/** Opens connections, all at once, and prints how many are open when each of them is or is refused; with `hold` they stay. */
export const CONNECT_MANY = `
  const [host, port, count, hold] = process.argv.slice(1);
  let open = 0, refused = 0;
  const note = () => {
    if (open + refused < Number(count)) return;
    console.log(JSON.stringify({ open, refused }));
    if (!hold) process.exit();
  };
  for (let n = 0; n < Number(count); n += 1) {
    const socket = require("net").connect(Number(port), host);
    socket.once("connect", () => { open += 1; note(); });
    socket.once("error", () => { refused += 1; note(); });
  }`;

/** Sends a datagram from each of so many ports, and prints how many were answered until no more came for three seconds. */
export const SEND_MANY = `
  const [host, port, count] = process.argv.slice(1);
  const beganAt = performance.now();
  let answered = 0, lastAt = beganAt;
  const note = () => { answered += 1; lastAt = performance.now(); };
  for (let n = 0; n < Number(count); n += 1) {
    const socket = require("dgram").createSocket("udp4");
    socket.on("message", note).on("error", () => {}).send("here", Number(port), host);
  }
  setInterval(() => {
    if (performance.now() - lastAt < 3000) return;
    console.log(JSON.stringify({ answered, seconds: (lastAt - beganAt) / 1000 }));
    process.exit();
  }, 100);`;
