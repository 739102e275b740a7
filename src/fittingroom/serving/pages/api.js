// Requests to the studio. What it refuses is thrown as `Refused`, whose message is the product's own sentence.

export class Refused extends Error {
  constructor(message, status, code) {
    super(message);
    [this.status, this.code] = [status, code];
  }
}

const answerOf = async (response) => {
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  if (response.ok) return isJson ? response.json() : response.arrayBuffer();
  const error = isJson ? (await response.json()).error : null;
  throw new Refused(error?.message ?? `The studio answered with status ${response.status}.`, response.status, error?.code);
};

const request = async (path, options) => {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The studio does not answer. It has ended, or the network is gone.", 0, "unreachable");
  }
  return answerOf(response);
};

// A plain object goes as JSON; a File, Blob, FormData or array of bytes as it is.
const withBody = (method) => (path, body, options = {}) => {
  const plain = body !== undefined && (body === null || Object.getPrototypeOf(body) === Object.prototype || Array.isArray(body));
  const headers = plain ? { "content-type": "application/json" } : {};
  return request(path, { method, headers, body: plain ? JSON.stringify(body) : body, ...options });
};

export const get = (path, options) => request(path, options); // options.signal ends it
export const post = withBody("POST");
export const put = withBody("PUT");
export const remove = withBody("DELETE");
