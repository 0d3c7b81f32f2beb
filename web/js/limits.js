// What the server takes and what it offers, as it wrote them on <body>.
const data = document.body.dataset;

export const limits = {
  uploadMb: Number(data.maxUpload) || 15,
  pixelsMp: Number(data.maxPixels) || 50,
  heatmaps: "gradcam" in data,
  history: "history" in data,
  modelName: data.model ?? "",
};
