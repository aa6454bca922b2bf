/** The inputs of the turns that the page asks for from now on, as they come. */
export function requestsOf(page) {
  const inputs = [];
  page.on("request", (request) => {
    const body = request.method() === "POST" ? request.postDataJSON() : undefined;
    if (body?.operationName === "generateCopilotResponse") inputs.push(body.variables.data);
  });
  return inputs;
}
