export default {
  async fetch(_, env) {
    const answer = await env.BACK.fetch("http://back.local/something");
    return new Response(`Vite was told: ${await answer.text()}`);
  },
};
