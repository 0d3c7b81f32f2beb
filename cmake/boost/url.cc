// Boost.URL, compiled once: Debian's libboost1.81-dev carries its sources as headers.
#include <boost/url/src.hpp>
