// The table of all routes: the one place where a path meets its handler, its room and its bounds.
#include <array>

#include "server/handlers.h"

namespace dermlens::server {

std::span<const Route> all_routes() {
  constexpr auto kGet = Method::get;
  constexpr auto kPost = Method::post;
  constexpr auto kDelete = Method::del;
  constexpr auto kInstant = Room::instant;
  constexpr auto kInference = Room::inference;
  constexpr auto kChore = Room::chore;
  constexpr auto kControl = Room::control;
  constexpr auto kOpen = Guard::open;
  constexpr auto kGuarded = Guard::guarded;
  constexpr auto kNone = Payload::none;
  constexpr auto kSmall = Payload::small;
  constexpr auto kUpload = Payload::upload;
  static constexpr std::array kRoutes{
      // The seed's.
      Route{kGet, "/", kInstant, kGuarded, kNone, get_start_page, true},
      Route{kGet, "/health/", kInstant, kOpen, kNone, get_health},
      Route{kGet, "/memory/", kInstant, kGuarded, kNone, get_memory},
      Route{kPost, "/upload/", kInference, kGuarded, kUpload, post_upload, true},
      Route{kPost, "/upload/file/", kInference, kGuarded, kUpload, post_upload, true},
      Route{kGet, "/result/{}/", kChore, kGuarded, kNone, get_result_page, true},
      Route{kPost, "/result/{}/delete", kChore, kGuarded, kSmall, post_delete_result_page, true},
      Route{kPost, "/predict_with_gradcam", kInference, kGuarded, kUpload,
            post_predict_with_gradcam},
      // Native.
      Route{kPost, "/api/v1/classify", kInference, kGuarded, kUpload, post_classify},
      Route{kPost, "/api/v1/explain", kInference, kGuarded, kUpload, post_explain},
      Route{kGet, "/api/v1/queue/{}", kInstant, kGuarded, kNone, get_place},
      Route{kGet, "/api/v1/models", kControl, kGuarded, kNone, get_models},
      Route{kGet, "/api/v1/models/{}", kControl, kGuarded, kNone, get_model},
      Route{kGet, "/api/v1/models/{}/layers", kControl, kGuarded, kNone, get_layers},
      Route{kGet, "/api/v1/models/{}/plan", kControl, kGuarded, kNone, get_plan},
      Route{kGet, "/api/v1/results/{}", kChore, kGuarded, kNone, get_result},
      Route{kDelete, "/api/v1/results/{}", kChore, kGuarded, kNone, delete_result},
      Route{kGet, "/api/v1/results/{}/overlay.png", kChore, kGuarded, kNone, get_overlay},
      Route{kGet, "/api/v1/results/{}/photo.jpg", kChore, kGuarded, kNone, get_photo},
      Route{kGet, "/api/v1/history", kChore, kGuarded, kNone, get_history},
      Route{kDelete, "/api/v1/history", kChore, kGuarded, kNone, delete_history},
      Route{kGet, "/api/v1/history.csv", kChore, kGuarded, kNone, get_history_csv},
      Route{kGet, "/api/v1/events", Room::events, kGuarded, kNone, get_events},
      Route{kGet, "/metrics", kInstant, kGuarded, kNone, get_metrics},
      Route{kGet, "/openapi.json", kInstant, kGuarded, kNone, get_openapi},
      // Open Inference Protocol.
      Route{kGet, "/v2", kInstant, kGuarded, kNone, get_v2},
      Route{kGet, "/v2/health/live", kInstant, kOpen, kNone, get_v2_live},
      Route{kGet, "/v2/health/ready", kInstant, kGuarded, kNone, get_v2_ready},
      Route{kGet, "/v2/models/{}", kControl, kGuarded, kNone, get_v2_model},
      Route{kGet, "/v2/models/{}/ready", kInstant, kGuarded, kNone, get_v2_model_ready},
      Route{kGet, "/v2/models/{}/versions/{}", kControl, kGuarded, kNone, get_v2_model},
      Route{kGet, "/v2/models/{}/versions/{}/ready", kInstant, kGuarded, kNone, get_v2_model_ready},
      Route{kPost, "/v2/models/{}/infer", kInference, kGuarded, kUpload, post_v2_infer},
      Route{kPost, "/v2/models/{}/versions/{}/infer", kInference, kGuarded, kUpload, post_v2_infer},
      Route{kPost, "/v2/models/{}/explain", kInference, kGuarded, kUpload, post_v2_explain},
      Route{kPost, "/v2/models/{}/versions/{}/explain", kInference, kGuarded, kUpload,
            post_v2_explain},
      Route{kPost, "/v2/repository/index", kControl, kGuarded, kSmall, post_v2_index},
      Route{kPost, "/v2/repository/models/{}/load", kControl, kGuarded, kSmall, post_v2_load},
      Route{kPost, "/v2/repository/models/{}/unload", kControl, kGuarded, kSmall, post_v2_unload},
      // KServe.
      Route{kGet, "/v1/models", kInstant, kGuarded, kNone, get_v1_models},
      Route{kGet, "/v1/models/{}", kInstant, kGuarded, kNone, get_v1_model},
      Route{kPost, "/v1/models/{}:predict", kInference, kGuarded, kUpload, post_v1_predict},
      Route{kPost, "/v1/models/{}:explain", kInference, kGuarded, kUpload, post_v1_explain},
      // Pages and their files. Files are open: the login page needs them, and they say nothing.
      Route{kGet, "/system/", kInstant, kGuarded, kNone, get_system_page, true},
      Route{kGet, "/history/", kChore, kGuarded, kNone, get_history_page, true},
      Route{kPost, "/history/{}/delete", kChore, kGuarded, kSmall, post_delete_history_page, true},
      Route{kGet, "/login", kInstant, kOpen, kNone, get_login, true},
      Route{kPost, "/login", kInstant, kOpen, kSmall, post_login, true},
      Route{kPost, "/logout", kInstant, kOpen, kSmall, post_logout, true},
      Route{kGet, "/assets/{*}", kInstant, kOpen, kNone, get_asset},
      Route{kGet, "/robots.txt", kInstant, kOpen, kNone, get_asset},
  };
  return kRoutes;
}

}  // namespace dermlens::server
