// Goes where `to` says, in the way that the path names.
import { connect } from "cloudflare:sockets";

const text = (bytes) => new TextDecoder().decode(bytes);

const ways = {
  // The request as it is, streamed there and back.
  "/pass": (to, request) =>
    fetch(to, { method: request.method, body: request.body, redirect: "manual" }),

  async "/websocket"(to) {
    const { webSocket, status } = await fetch(to, { headers: { Upgrade: "websocket" } });
    if (!webSocket) return new Response(`no WebSocket: ${status}`, { status: 500 });
    webSocket.accept();
    const heard = new Promise((resolve) =>
      webSocket.addEventListener("message", (event) => resolve(event.data)),
    );
    webSocket.send("hello");
    const answer = await heard;
    webSocket.close(1000);
    return new Response(answer);
  },

  async "/socket"(to) {
    const socket = connect(to);
    const writer = socket.writable.getWriter();
    await writer.write(new TextEncoder().encode("over tcp"));
    const reader = socket.readable.getReader();
    let heard = "";
    while (!heard.endsWith("over tcp")) {
      const { value, done } = await reader.read();
      if (done) break;
      heard += text(value);
    }
    await socket.close();
    return new Response(heard);
  },
};

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const way = ways[url.pathname];
    if (!way) return new Response("fetching v1");
    try {
      return await way(url.searchParams.get("to"), request);
    } catch (error) {
      return new Response(`${error.name}: ${error.message}`, { status: 500 });
    }
  },
};
